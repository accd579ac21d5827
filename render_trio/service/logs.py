"""Logs: structlog to standard error, one JSON object a line, or coloured text for people.

Everything goes this way: what libraries log, warnings, and errors that nobody caught, in whatever thread. A
log that can't be written (its disk is full, its reader gone or asleep) is no reason to stop working: lines are lost,
and counted.
"""

from __future__ import annotations

import contextlib
import logging
import select
import sys
import threading
import types
from typing import IO

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
MAX_FRAMES = 30
PATIENCE_MS = 200  # for a reader that is only slow
log = structlog.get_logger(__name__)

# Local variables stay out of tracebacks: they hold whole payloads, and what users wrote.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    ExceptionDictTransformer(show_locals=False, max_frames=MAX_FRAMES, use_rich=False)
)


class _Lossy:
    """A stream that drops what it can't write, and says so when it can again."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lost = 0
        self._poll: select.poll | None = select.poll()
        try:
            self._poll.register(stream.fileno(), select.POLLOUT)
        except (OSError, ValueError):  # no file but a buffer, which takes everything
            self._poll = None

    def write(self, text: str) -> int:
        """Write a line, or drop it: never wait for a reader that doesn't read, since the event loop would."""
        # The first line that finds the pipe full waits a little for it, those after it not at all.
        if self._poll is not None and not self._poll.poll(0 if self._lost else PATIENCE_MS):
            self._lost += 1
            return 0
        try:
            if self._lost:
                self._stream.write(f'{{"event": "lines of the log were lost", "lines": {self._lost}}}\n')
            written = self._stream.write(text)
        except (OSError, ValueError):  # no space, no reader; closed at the interpreter's end
            self._lost += 1
            return 0
        self._lost = 0
        return written

    def flush(self) -> None:
        """Write what is buffered, or leave it."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def configure(log_format: str, log_level: str) -> None:
    """Set up logging for this process. Context (worker, task, attempt, seconds) travels in context variables."""
    stream = _Lossy(sys.stderr)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    if log_format == "json":
        last = [_TRACEBACKS, structlog.processors.JSONRenderer(default=repr)]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[log_level]),
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    # What libraries log: warnings and worse.
    handler = logging.StreamHandler(stream)
    remove_meta = ProcessorFormatter.remove_processors_meta
    name = structlog.stdlib.add_logger_name
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=[*shared, name], processors=[remove_meta, *last]))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = _tell_uncaught
    threading.excepthook = _tell_uncaught_in_thread
    sys.unraisablehook = _tell_unraisable


def _tell_uncaught(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    log.error("nobody caught an error", exc_info=(kind, error, trace))


def _tell_uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        thread = told.thread.name if told.thread is not None else None
        log.error("nobody caught an error", thread=thread, exc_info=told.exc_value)


def _tell_unraisable(told: sys.UnraisableHookArgs) -> None:
    log.error("an error could not be raised", where=repr(told.object)[:200], exc_info=told.exc_value)
