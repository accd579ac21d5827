"""The service as a program: one process from its start to its exit code."""

from __future__ import annotations

import faulthandler
import functools
import os
from contextlib import ExitStack

import structlog
import trio

from render_trio.errors import FatalError, first_error
from render_trio.service import logs, pid_file, service
from render_trio.service.shutdown import EXIT_CLEAN, EXIT_FATAL, Signals
from render_trio.settings.settings import Settings

log = structlog.get_logger(__name__)


def main(settings: Settings) -> int:
    """Run the service until a signal ends it; returns the exit code: 0 when clean. Raises OSError, FatalError."""
    logs.configure(settings.log_format, settings.log_level)
    faulthandler.enable()  # a fault in C tells where, before it ends us
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        if settings.pid_file is not None:
            stack.enter_context(pid_file.held(settings.pid_file))
        try:
            trio.run(functools.partial(service.run, settings, signals=signals))
        except* FatalError as group:
            log.error("ending for a new start", reason=str(first_error(group)))
            # Hung threads would keep the interpreter from ending; everything else has ended by now.
            os._exit(EXIT_FATAL)
    return EXIT_CLEAN
