"""The bytes on a connection: successive requests, invalid HTTP, clients that disconnect or are slow."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from emulator.server import listening
from emulator.server.connections import OpenConnections
from emulator.server.listening import FairListener, listening_socket, serve_app
from emulator.wire.bodies import Asgi, Message, Receive, Send

PATIENCE = 10.0


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Reply with the method, the path and the body; `/hold` waits until the client disconnects, `/fail` fails."""
    if scope["type"] != "http":
        raise RuntimeError("lifespan is not supported")
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    if scope["path"] == "/fail":
        raise RuntimeError("intentional")
    if scope["path"] == "/hold":
        assert (await receive())["type"] == "http.disconnect"
        ENDED.append(scope["query_string"])
        return
    reply = b"%s %s %s" % (scope["method"].encode(), scope["raw_path"], body)
    headers = [(b"content-length", str(len(reply)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": reply[:4], "more_body": True})
    await send({"type": "http.response.body", "body": reply[4:]})


ENDED: list[bytes] = []
Connect = Callable[[int], Awaitable[trio.SocketStream]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """A function that connects to a port; the connections are closed after the test."""
    async with AsyncExitStack() as stack:

        async def connect(port: int) -> trio.SocketStream:
            return await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))

        yield connect


@asynccontextmanager
async def served(
    app: Asgi = echo, *, shared: bool = False, keep_alive: float = 60.0
) -> AsyncIterator[tuple[int, trio.CancelScope]]:
    """Yield the port, and the cancel scope of the server."""
    listener = listening_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    connections = OpenConnections(keep_alive)
    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
            with trio.CancelScope() as scope:

                async def begin(*, task_status: trio.TaskStatus[None]) -> None:
                    await serve_app(app, listener, connections, shared=shared, task_status=task_status)

                async with trio.open_nursery() as inner:
                    await inner.start(begin)
                    task_status.started(scope)

        scope = await nursery.start(serve)
        yield port, scope
        scope.cancel()


async def read_all(stream: trio.SocketStream) -> bytes:
    data = b""
    with trio.fail_after(PATIENCE):
        async for part in stream:
            data += part
    return data


async def test_pipelined_requests_are_answered_in_order(connect: Connect) -> None:
    async with served() as (port, _):
        stream = await connect(port)
        await stream.send_all(
            b"POST /one?q=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            b"POST /two HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
            b"GET /three HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        data = await read_all(stream)
    assert [part for part in (b"POST /one abc", b"POST /two de", b"GET /three ") if part in data] == [
        b"POST /one abc",
        b"POST /two de",
        b"GET /three ",
    ]
    assert data.count(b"HTTP/1.1 200") == 3


async def test_a_client_that_expects_100_continue_gets_it(connect: Connect) -> None:
    async with served() as (port, _):
        stream = await connect(port)
        await stream.send_all(
            b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        with trio.fail_after(PATIENCE):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
        await stream.send_all(b"ok")
        assert (await read_all(stream)).endswith(b"POST / ok")


async def test_the_reply_to_head_has_no_body(connect: Connect) -> None:
    async with served() as (port, _):
        stream = await connect(port)
        await stream.send_all(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = await read_all(stream)
    assert data.startswith(b"HTTP/1.1 200")
    assert data.endswith(b"\r\n\r\n")
    assert b"content-length: 7" in data.lower()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 40_000, 431),
    ],
)
async def test_invalid_http_is_answered_with_an_error_in_the_usual_format(
    connect: Connect, sent: bytes, status: int
) -> None:
    async with served() as (port, _):
        stream = await connect(port)
        await stream.send_all(sent)
        head, _, body = (await read_all(stream)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    error = json.loads(body)["error"]
    assert error["code"] == status
    assert error["errors"][0]["message"].endswith("send a valid request")


async def test_a_failing_request_ends_only_its_own_connection(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as (port, _):
        first = await connect(port)
        second = await connect(port)
        await first.send_all(b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await read_all(first) == b""
        await second.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await read_all(second)).startswith(b"HTTP/1.1 200")
    assert "intentional" in caplog.text


async def test_the_application_is_notified_when_its_client_disconnects(connect: Connect) -> None:
    ENDED.clear()
    async with served() as (port, _):
        stream = await connect(port)
        await stream.send_all(b"GET /hold?gone HTTP/1.1\r\nHost: x\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked(0.02)
        await stream.aclose()
        with trio.fail_after(PATIENCE):
            while not ENDED:
                await trio.testing.wait_all_tasks_blocked(0.01)
    assert ENDED == [b"gone"]


async def test_closing_the_server_disconnects_idle_and_waiting_clients_at_once(
    connect: Connect, autojump_clock: Any
) -> None:
    del autojump_clock
    ENDED.clear()
    async with served() as (port, scope):
        idle = await connect(port)
        waiting = await connect(port)
        await waiting.send_all(b"GET /hold?waiting HTTP/1.1\r\nHost: x\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked(0.02)
        started = trio.current_time()
        scope.cancel()
        assert await read_all(idle) == b""
        assert await read_all(waiting) == b""
        assert trio.current_time() - started < listening.GRACEFUL_SECONDS
    assert ENDED == [b"waiting"]


async def test_closing_the_server_completes_replies_in_progress(connect: Connect) -> None:
    reached, go_on = trio.Event(), trio.Event()

    async def slow(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            reached.set()
            with trio.CancelScope(shield=True):
                await go_on.wait()
        await echo(scope, receive, send)

    async with served(slow) as (port, scope):
        stream = await connect(port)
        await stream.send_all(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
        await reached.wait()
        scope.cancel()
        go_on.set()
        assert (await read_all(stream)).endswith(b"GET /late ")


async def test_an_incomplete_head_times_out(connect: Connect) -> None:
    async with served(keep_alive=0.05) as (port, _):
        stream = await connect(port)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost:")
        assert await read_all(stream) == b""


async def test_a_server_with_fewer_connections_accepts_first(
    connect: Connect, autojump_clock: trio.testing.MockClock
) -> None:
    """Also if the other server has tried to accept the client before, and was too late."""
    autojump_clock.autojump_threshold = 0.01  # s, for connections to arrive
    first = listening_socket("127.0.0.1", 0)
    second = first.dup()
    port = first.getsockname()[1]
    seen: list[str] = []

    async def accept_all(name: str, listener: socket.socket, count: int) -> None:
        open_connections = OpenConnections(60.0)
        open_connections.count = count
        fair = FairListener(listener, open_connections)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(fair)
            while True:
                await stack.enter_async_context(await fair.accept())
                seen.append(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept_all, "busy", first, 5)
        nursery.start_soon(accept_all, "idle", second, 0)
        for _ in range(5):
            await connect(port)
            await trio.sleep(2 * listening.MAX_ACCEPT_DELAY)
        nursery.cancel_scope.cancel()
    assert seen == ["idle"] * 5
