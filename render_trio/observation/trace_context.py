"""Trace context (W3C): a `traceparent`, checked → bound to everything that is done and logged for one request or task.

It travels from a visitor's request, or from a producer's task, through the queue and the worker to the result. Its
version 00 is `00-TRACE-PARENT-FLAGS`, in lower-case hexadecimal: https://www.w3.org/TR/trace-context/#traceparent-header
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_MAX_CHARACTERS = 500  # of a later version, which may have further fields
_current: ContextVar[str] = ContextVar("traceparent", default="")


def checked(given: object) -> str:
    """Return a traceparent as version 00, or "" if it isn't valid. Later versions begin with the same fields."""
    if not isinstance(given, str) or len(given) > _MAX_CHARACTERS:
        return ""
    found = _FORM.fullmatch(given)
    if found is None:
        return ""
    version, trace, parent, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or trace == "0" * 32 or parent == "0" * 16:
        return ""
    return f"00-{trace}-{parent}-{flags}"


def new() -> str:
    """Return the traceparent of a new trace, which is not sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


def trace_id(traceparent: str) -> str:
    """Return the ID of the trace, 32 hexadecimal digits; "" for ""."""
    return traceparent[3:35]


def current() -> str:
    """Return the traceparent of the request or task in progress, "" if there is none."""
    return _current.get()


def headers() -> dict[str, str]:
    """Return the header for requests that are sent for the request or task in progress."""
    return {"traceparent": traceparent} if (traceparent := current()) else {}


@contextmanager
def bound(traceparent: str) -> Iterator[None]:
    """Make a checked traceparent the current one, and its trace ID the log's field `trace`. "" changes nothing."""
    if not traceparent:
        yield
        return
    import structlog  # here, because `render_trio.render` imports this module and logs nothing

    token = _current.set(traceparent)
    try:
        with structlog.contextvars.bound_contextvars(trace=trace_id(traceparent)):
            yield
    finally:
        _current.reset(token)
