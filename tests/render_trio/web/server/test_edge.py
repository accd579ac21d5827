"""The web server under slow, greedy, numerous or malformed clients: none affects any other."""

from __future__ import annotations

import pytest
import trio

from render_trio.web.server import connection, request_limits, server
from tests.render_trio.web.server.edge import (
    edge,
    endless,
    get,
    halting,
    hasty,
    open_files,
    post,
    read_to_end,
    send_for_ever,
)

UPGRADE = (
    b"GET /200 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(("path", "status"), [("/401", 401), ("/404", 404), ("/200", 200)])
async def test_a_response_to_a_large_body_leaves_no_connection_open(path: str, status: int) -> None:
    async with edge(hasty) as site:
        before = open_files()
        for _ in range(5):
            async with await site.connect() as stream:
                await stream.send_all(post(path, 900_000))
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 %d" % status)
        await site.all_closed()
        assert open_files() == before


@pytest.mark.parametrize("size", [server.HEADER_BYTES * 100, request_limits.DISCARDED_BYTES + 4_000_000])
async def test_a_body_that_is_too_large_leaves_no_connection_open(size: int) -> None:
    async with edge(hasty) as site:
        before = open_files()
        for _ in range(3):
            async with await site.connect() as stream, trio.open_nursery() as nursery:
                nursery.start_soon(_send_until_closed, stream, post("/200", size))
                answer = await read_to_end(stream)
            # A client that sends more than DISCARDED_BYTES may be disconnected before it has read the response.
            assert answer.startswith(b"HTTP/1.1 413") or (answer == b"" and size > request_limits.DISCARDED_BYTES)
        await site.all_closed()
        assert open_files() == before


async def test_a_body_limit_of_zero_still_allows_requests_without_a_body() -> None:
    async with edge(hasty, limit=0) as site:
        assert (await site.ask(post("/200", 10))).startswith(b"HTTP/1.1 413")
        assert (await site.ask(get("/200"))).startswith(b"HTTP/1.1 200")


async def _send_until_closed(stream: trio.SocketStream, data: bytes) -> None:
    try:
        await stream.send_all(data)
    except trio.BrokenResourceError:
        return


async def test_endless_headers_end_the_connection() -> None:
    async with edge(hasty, keep_alive=0.2) as site, await site.connect() as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\n")
        await send_for_ever(stream, b"X-A: b\r\n", 0.02)
        await site.all_closed()


async def test_an_incomplete_body_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.2)
    async with edge(hasty) as site, await site.connect() as stream:
        await stream.send_all(post("/200", 1000)[:-500])
        answer = await read_to_end(stream)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"x-content-type-options" in answer
        await site.all_closed()


async def test_a_client_that_does_not_read_the_response_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.2)
    async with edge(endless) as site, await site.connect() as stream:
        await stream.send_all(get())
        await stream.receive_some(1)
        await site.all_closed()


async def test_a_client_that_sends_requests_without_reading_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.2)
    async with edge(hasty) as site, await site.connect() as stream:
        await send_for_ever(stream, get(close=False) * 1000, 0)
        await site.all_closed()


@pytest.mark.parametrize("limit", [server.MAX_CONNECTIONS, 1], ids=["open", "already evicted"])
async def test_a_client_that_does_not_read_delays_no_shutdown(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 60.0)
    monkeypatch.setattr(connection, "LAST_SEND_SECONDS", 0.1)
    monkeypatch.setattr(server, "MAX_CONNECTIONS", limit)
    async with edge(endless) as site:
        streams = []
        for _ in range(2):
            streams.append(await site.connect())
            await streams[-1].send_all(get())
            await streams[-1].receive_some(1)  # the server sends the rest, which nobody reads
    for stream in streams:
        await stream.aclose()


async def test_at_the_limit_a_new_connection_closes_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 5)
    async with edge(hasty) as site:
        streams = [await site.connect() for _ in range(5)]
        while len(site.connections) < 5:  # noqa: ASYNC110 - real sockets
            await trio.sleep(0.005)
        assert (await site.ask(get("/200"))).startswith(b"HTTP/1.1 200")
        assert await streams[0].receive_some() == b""
        await streams[1].send_all(get("/200"))
        assert (await streams[1].receive_some()).startswith(b"HTTP/1.1 200")
        for stream in streams:
            await stream.aclose()


async def test_a_connection_with_a_request_in_progress_is_closed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with edge(halting) as site, trio.open_nursery() as nursery:
        oldest, idle_again, idle = [await site.connect() for _ in range(3)]
        while len(site.connections) < 3:  # noqa: ASYNC110 - real sockets
            await trio.sleep(0.005)
        await oldest.send_all(get("/halt"))
        assert await oldest.receive_some() != b""
        await idle_again.send_all(get("/200", close=False))  # from now on, the other one has been idle longer
        received = b""
        while not received.endswith(b"ok\n"):
            received += await idle_again.receive_some()
        newest = []
        for closed in (idle, idle_again):
            newest.append(await site.connect())
            await newest[-1].send_all(get("/halt"))
            assert await newest[-1].receive_some() != b""
            assert await closed.receive_some() == b""
        assert len(site.connections) == 3
        assert (await site.ask(get("/200"))).startswith(b"HTTP/1.1 200")  # none is idle: the oldest is closed
        await read_to_end(oldest)
        for stream in (oldest, idle_again, idle, *newest):
            await stream.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * server.HEADER_BYTES * 2 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, 431),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_malformed_request_is_refused_with_security_headers(request_bytes: bytes, status: int) -> None:
    async with edge(hasty) as site:
        async with await site.connect() as stream, trio.open_nursery() as nursery:
            nursery.start_soon(_send_until_closed, stream, request_bytes)
            answer = await read_to_end(stream)
        # Unread parts of a request reset the connection, which can discard the response.
        assert answer == b"" or answer.startswith(b"HTTP/1.1 %d" % status)
        assert answer == b"" or b"x-content-type-options: nosniff" in answer
        assert b"Traceback" not in answer
        assert (await site.ask(get("/200"))).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("request_bytes", [UPGRADE, HTTP2], ids=["websocket", "HTTP/2"])
async def test_other_protocols_are_not_supported(request_bytes: bytes) -> None:
    async with edge(hasty) as site, await site.connect() as other:
        await other.send_all(get("/200", close=False))
        await other.receive_some()
        answer = await site.ask(request_bytes + b"\xff\x00\xfe" * 100 + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 ")
        assert b"101 " not in answer[:20]
        assert b"x-content-type-options: nosniff" in answer
        await other.send_all(get("/200"))
        assert b"HTTP/1.1 200" in await read_to_end(other), "only the connection at fault ended"


async def test_an_exception_in_the_application_ends_its_own_connection_without_a_traceback() -> None:
    async def broken(scope: request_limits.Message, receive: request_limits.Receive, send: request_limits.Send) -> None:
        if scope["type"] == "lifespan":
            await hasty(scope, receive, send)
        raise RuntimeError("a secret")

    async with edge(broken) as site:
        for _ in range(3):
            answer = await site.ask(get())
            assert answer.startswith(b"HTTP/1.1 500")
            assert b"secret" not in answer
        await site.all_closed()
