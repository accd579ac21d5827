"""Each request → its ID and its trace, bound to everything that is logged for it, and a line in the access log.

The line has the route's pattern instead of the path and no query string: both can contain texts that users wrote, and
a path can contain the ID of a task, which is all that is needed to fetch its document.
"""

from __future__ import annotations

import re

import structlog
import trio

from render_trio.observation import trace_context, traces
from render_trio.web.access.table import route_of
from render_trio.web.openapi.operation import openapi_path
from render_trio.web.server.pacing import UNPACED
from render_trio.web.server.request_limits import Asgi, Message, Receive, Send

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
FREQUENT = UNPACED | {"/metrics"}  # requests of orchestrators and Prometheus, logged at debug level
UNKNOWN = "unknown"  # instead of the pattern, if there is no such route
METHOD_CHARACTERS = 20
log = structlog.get_logger(__name__)


def observe_requests(app: Asgi, *, access_log: bool) -> Asgi:
    """Return the application with an ID and a trace for each request, and its response's header `X-Request-ID`.

    The ID is that of the request's own X-Request-ID, if it is valid, or else the ID of its trace. The trace is that of
    its header `traceparent`, or else a new one.
    """

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        started, status, size = trio.current_time(), None, 0

        async def send_observed(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message = message | {"headers": [*message["headers"], (b"x-request-id", request_id.encode())]}
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        route = route_of(scope)
        path = UNKNOWN if route is None else openapi_path(route.path)
        method = scope["method"][:METHOD_CHARACTERS]
        parent = trace_context.checked(_header(scope, b"traceparent").decode("latin-1"))
        about = {"http.request.method": method, "http.route": path}
        with traces.span(f"{method} {path}", parent, "server", about) as span:
            traceparent = span.traceparent or trace_context.new()
            given = _header(scope, b"x-request-id")
            request_id = given.decode() if REQUEST_ID.fullmatch(given) else trace_context.trace_id(traceparent)
            with trace_context.bound(traceparent), structlog.contextvars.bound_contextvars(request=request_id):
                try:
                    await app(scope, receive, send_observed)
                finally:
                    if status is not None:
                        span.note("http.response.status_code", status)
                    if access_log:
                        client = (scope.get("client") or ("",))[0]
                        _write(method, path, status, size, trio.current_time() - started, client)

    return serve


def _header(scope: Message, name: bytes) -> bytes:
    """Return the value of a header; b"" unless the request has exactly one."""
    values: list[bytes] = [value for given, value in scope["headers"] if given == name]
    return values[0] if len(values) == 1 else b""


def _write(method: str, path: str, status: int | None, size: int, seconds: float, client: str) -> None:
    """Write the line; `status` is None if the client disconnected before the response began."""
    fields = {
        "method": method,
        "path": path,
        "status": status,
        "bytes": size,
        "duration": round(seconds, 4),
        "client": client,
    }
    with structlog.contextvars.bound_contextvars(**fields):
        if path in FREQUENT:
            log.debug("probe")
        else:
            log.info("request")
