"""The service as a process of its own: signals and timers around it, and an exit code at the end."""

from __future__ import annotations

import faulthandler
import os
from contextlib import ExitStack

import structlog
import trio

from render_trio.errors import FatalError, first_error
from render_trio.observation import traces
from render_trio.service import logs, pid_file, service
from render_trio.service.orphans import reap_orphans
from render_trio.service.shutdown import EXIT_CLEAN, EXIT_FATAL, Signals, begin_hard_exit, watch_loop
from render_trio.settings.settings import Settings

log = structlog.get_logger(__name__)


def main(settings: Settings) -> int:
    """Run the service until a signal stops it, and return the exit code 0.

    Exits the process with another code as described in `shutdown`. Raises StartupError if a setting can't be used
    on this machine, for example because PORT is in use or PID_FILE is locked by another process.
    """
    logs.configure(settings.log_format, settings.log_level, settings.project_name)
    faulthandler.enable()  # prints a traceback of Python code after a fault in C code
    with ExitStack() as stack:
        signals = stack.enter_context(Signals())
        if settings.pid_file is not None:
            stack.enter_context(pid_file.held(settings.pid_file))
        reason = ""
        try:
            trio.run(run_until_signal, settings, signals)
        except* FatalError as group:
            reason = str(first_error(group))
        if reason:
            log.error("exiting for restart", reason=reason)
            # Hung threads would keep the interpreter from exiting; everything else has stopped by now.
            os._exit(EXIT_FATAL)
    return EXIT_CLEAN


async def run_until_signal(
    settings: Settings, signals: Signals, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run the service in a process that exists only for it; reports the web server's URL.

    Timers end the process if it can't exit on its own. Raises what `service.run` raises.
    """
    async with trio.open_nursery() as nursery:
        await nursery.start(signals.receive, settings.shutdown_seconds)
        nursery.start_soon(watch_loop)
        nursery.start_soon(reap_orphans)
        async with traces.exported(os.environ):
            await service.run(
                settings,
                shutdown_requested=signals.shutdown_requested,
                hard_exit=begin_hard_exit,
                task_status=task_status,
            )
        nursery.cancel_scope.cancel()
