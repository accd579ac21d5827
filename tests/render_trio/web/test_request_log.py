"""Every request has an ID and a trace, and a line in the access log that contains nothing that a user wrote."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from render_trio.observation import trace_context
from render_trio.web.request_log import observe_requests
from render_trio.web.server.request_limits import Message, Receive, Send

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
GENERATED = re.compile("[0-9a-f]{32}")
Lines = list[MutableMapping[str, Any]]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Log a line, and answer with 201 and the trace of the request."""
    structlog.get_logger().info("inside")
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": trace_context.current().encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def request(
    path: str = "/", headers: list[tuple[bytes, bytes]] | None = None, *, access_log: bool = True, method: str = "GET"
) -> tuple[str, str]:
    """Send a request; return the ID in the response's header, and its trace."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": method, "path": path, "query_string": b"header_text=Pupil"}
    scope |= {"headers": headers or [], "client": ("192.0.2.1", 1)}
    await observe_requests(app, access_log=access_log)(scope, receive, send)
    return dict(sent[0]["headers"])[b"x-request-id"].decode(), sent[1]["body"].decode()


@pytest.fixture
async def lines() -> AsyncIterator[Lines]:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as captured:
        yield captured


async def test_a_request_is_one_line_with_its_route_and_without_what_a_user_wrote(lines: Lines) -> None:
    request_id, trace = await request("/tasks/web-0123456789abcdef/document")
    inside, line = lines
    assert GENERATED.fullmatch(request_id)
    assert trace_context.trace_id(trace) == request_id
    assert inside["request"] == inside["trace"] == request_id
    duration = line.pop("duration")
    assert duration >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "path": "/tasks/{task_id}/document",
        "status": 201,
        "bytes": 55,
        "client": "192.0.2.1",
        "request": request_id,
        "trace": request_id,
    }


@pytest.mark.parametrize(
    ("path", "shown", "level"),
    [
        ("/resources/grid.pdf", "/resources/{slug}.pdf", "info"),
        ("/Pupil\n\x1b[2J", "unknown", "info"),
        ("/livez", "/livez", "debug"),
        ("/health", "/health", "debug"),
        ("/metrics", "/metrics", "debug"),
    ],
)
async def test_paths_are_patterns_and_probes_are_debug(lines: Lines, path: str, shown: str, level: str) -> None:
    await request(path)
    event = "probe" if level == "debug" else "request"
    assert (lines[-1]["event"], lines[-1]["path"], lines[-1]["log_level"]) == (event, shown, level)


async def test_a_long_method_is_cut_off(lines: Lines) -> None:
    await request(method="X" * 5000)
    assert len(lines[-1]["method"]) == 20


async def test_the_access_log_can_be_switched_off(lines: Lines) -> None:
    await request(access_log=False)
    assert [line["event"] for line in lines] == ["inside"]


async def test_the_trace_of_the_request_is_continued_and_is_its_id(lines: Lines) -> None:
    assert await request(headers=[(b"traceparent", PARENT.encode())]) == (TRACE, PARENT)
    assert lines[0]["trace"] == TRACE


async def test_an_id_that_a_proxy_has_given_is_kept(lines: Lines) -> None:
    given = [(b"x-request-id", b"proxy-1/A+b=:.@_"), (b"traceparent", PARENT.encode())]
    assert (await request(headers=given))[0] == "proxy-1/A+b=:.@_"
    assert (lines[0]["request"], lines[0]["trace"]) == ("proxy-1/A+b=:.@_", TRACE)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-request-id", b"")],
        [(b"x-request-id", b"a b")],
        [(b"x-request-id", b"a\nlevel: error")],
        [(b"x-request-id", b"x" * 129)],
        [(b"x-request-id", "é".encode())],
        [(b"x-request-id", b"one"), (b"x-request-id", b"two")],
        [(b"traceparent", PARENT.upper().encode())],
        [(b"traceparent", PARENT.encode()), (b"traceparent", PARENT.encode())],
        [(b"traceparent", b"\xff" * 55)],
    ],
)
async def test_an_invalid_id_or_trace_is_replaced(lines: Lines, headers: list[tuple[bytes, bytes]]) -> None:
    request_id, trace = await request(headers=headers)
    assert GENERATED.fullmatch(request_id)
    assert trace_context.trace_id(trace) == request_id != TRACE


async def test_a_request_that_is_cancelled_has_a_line_too(lines: Lines) -> None:
    async def failing(scope: Message, receive: Receive, send: Send) -> None:
        raise OSError("the client has gone")

    async def nothing(*arguments: object) -> Message:
        return {}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}
    with pytest.raises(OSError, match="gone"):
        await observe_requests(failing, access_log=True)(scope, nothing, nothing)  # type: ignore[arg-type]
    assert (lines[-1]["status"], lines[-1]["bytes"], lines[-1]["client"]) == (None, 0, "")
    assert structlog.contextvars.get_contextvars() == {}
