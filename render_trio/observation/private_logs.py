"""Exceptions, warnings and log fields → the same without what must not be logged: passwords, tokens, names of pupils.

The message of an exception often quotes a value, and a value may come from a task. So tracebacks have the types and the
places of exceptions, and only such messages as `errors.loggable` allows. The same holds for warnings: those about code
have their text, others only their category and place.
"""

from __future__ import annotations

import traceback
import types
from collections.abc import MutableMapping
from typing import Any, TextIO

from render_trio.credentials.redaction import redacted
from render_trio.errors import loggable

MAX_FRAMES = 30
MAX_EXCEPTIONS = 10  # of a chain, or of a group
# The texts of other categories, such as UserWarning, may quote values.
ABOUT_CODE = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning, SyntaxWarning)

ExcInfo = tuple[type[BaseException], BaseException, types.TracebackType | None]


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Remove passwords and queries from the URLs in all fields of a log line: a processor for structlog."""
    for name, value in event.items():
        if name != "exc_info":
            event[name] = _redacted(value)
    return event


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _redacted(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(inner) for inner in value]
    return value


def as_dicts(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """Return an exception and its causes, for JSON."""
    return [
        {
            "exc_type": type(error).__name__,
            "exc_value": redacted(loggable(error)),
            "is_cause": is_cause,
            "frames": [
                {"filename": frame.filename, "lineno": frame.lineno, "name": frame.name} for frame in _frames(error)
            ],
            "exceptions": [as_dicts((type(inner), inner, inner.__traceback__)) for inner in _inner(error)],
        }
        for error, is_cause in _chain(exc_info[1])
    ]


def write_text(stream: TextIO, exc_info: ExcInfo) -> None:
    """Write an exception and its causes as text, for a terminal."""
    stream.write("".join(f"{line}\n" for line in _lines(exc_info[1], "")).rstrip("\n"))


def warning_text(message: Warning | str, category: type[Warning], filename: str, lineno: int) -> str:
    """Return a warning in one line: its place, its category and, if it is about code, its text."""
    text = f": {message}" if issubclass(category, ABOUT_CODE) else ""
    return f"{filename}:{lineno}: {category.__name__}{text}"


def _lines(error: BaseException, indent: str) -> list[str]:
    lines: list[str] = []
    for one, is_cause in reversed(_chain(error)):
        if lines:
            lines += [f"{indent}-- then --"]
        lines += [f"{indent}  {frame.filename}:{frame.lineno} in {frame.name}" for frame in _frames(one)]
        lines.append(f"{indent}{redacted(loggable(one))}{' (a cause)' if is_cause else ''}")
        for inner in _inner(one):
            lines += _lines(inner, f"{indent}  | ")
    return lines


def _chain(error: BaseException) -> list[tuple[BaseException, bool]]:
    """Return an exception and those that led to it; each with whether it is the cause of the one before."""
    found: list[tuple[BaseException, bool]] = []
    following: BaseException | None = error
    is_cause = False
    while following is not None and len(found) < MAX_EXCEPTIONS and all(following is not one for one, _ in found):
        found.append((following, is_cause))
        is_cause = following.__cause__ is not None
        context = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ or context
    return found


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)[-MAX_FRAMES:]


def _inner(error: BaseException) -> tuple[BaseException, ...]:
    return error.exceptions[:MAX_EXCEPTIONS] if isinstance(error, BaseExceptionGroup) else ()
