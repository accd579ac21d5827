"""Logging: structlog to stderr, as one JSON object per line, also with Google's fields, or as text for a terminal.

Everything is logged the same way: the records of libraries, warnings, and uncaught exceptions of every thread. If
the log can't be written (the disk is full; the reader has exited or doesn't read), the service continues: lines are
dropped and counted.
"""

from __future__ import annotations

import contextlib
import logging
import select
import sys
import threading
import types
import warnings
from typing import IO, Any, TextIO, cast

import structlog
from structlog.stdlib import ProcessorFormatter

from render_trio.observation import private_logs
from render_trio.service import google_logs

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
PATIENCE_MS = 200  # to wait for a reader that is slow
log = structlog.get_logger(__name__)

# Tracebacks have neither local variables nor messages that may quote a payload.
_TRACEBACKS = structlog.processors.ExceptionRenderer(private_logs.as_dicts)


class _Lossy:
    """A stream that drops lines it can't write, and logs how many as soon as it can write again."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lost = 0
        self._poll: select.poll | None = select.poll()
        try:
            self._poll.register(stream.fileno(), select.POLLOUT)
        except (OSError, ValueError):  # an in-memory buffer, which is always writable
            self._poll = None

    def write(self, text: str) -> int:
        """Write a line, or drop it. Waiting for a reader that doesn't read would block the event loop."""
        # Only the first line that finds the pipe full waits for the reader.
        if self._poll is not None and not self._poll.poll(0 if self._lost else PATIENCE_MS):
            self._lost += 1
            return 0
        try:
            if self._lost:
                self._stream.write(f'{{"event": "log lines dropped", "lines": {self._lost}}}\n')
            written = self._stream.write(text)
        except (OSError, ValueError):  # no space; no reader; closed during interpreter shutdown
            self._lost += 1
            return 0
        self._lost = 0
        return written

    def flush(self) -> None:
        """Write buffered lines if possible."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure(log_format: str, log_level: str, project: str = "") -> None:
    """Configure logging for this process, including the hooks for uncaught exceptions.

    `log_format`: json, google or console; `log_level`: debug, info, warning or error. The fields request, trace,
    worker, task, attempt and seconds come from context variables. `project`: that of Google Cloud, for links to traces.
    """
    stream = _Lossy(sys.stderr)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        private_logs.redact,
    ]
    last: list[structlog.typing.Processor] = [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=cast(Any, private_logs.write_text)
        )
    ]
    if log_format in ("json", "google"):
        renamed = [google_logs.fields(project)] if log_format == "google" else []
        last = [_TRACEBACKS, *renamed, structlog.processors.JSONRenderer(default=repr)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[log_level]),
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    # The records of libraries, from level warning.
    handler = logging.StreamHandler(stream)
    remove_meta = ProcessorFormatter.remove_processors_meta
    name = structlog.stdlib.add_logger_name
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=[*shared, name], processors=[remove_meta, *last]))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    warnings.showwarning = _log_warning
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    log.error("uncaught exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        thread = arguments.thread.name if arguments.thread is not None else None
        log.error("uncaught exception", thread=thread, exc_info=arguments.exc_value)


def _log_unraisable(arguments: sys.UnraisableHookArgs) -> None:
    where = getattr(arguments.object, "__qualname__", type(arguments.object).__name__)  # its repr may show its content
    log.error("unraisable exception", where=where, exc_info=arguments.exc_value)


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    logging.getLogger("py.warnings").warning("%s", private_logs.warning_text(message, category, filename, lineno))
