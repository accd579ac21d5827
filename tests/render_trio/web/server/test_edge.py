"""The web's edge: clients that are slow, greedy, many or mad cost themselves, and nobody else."""

from __future__ import annotations

import math

import pytest
import trio

from render_trio.web.server import connection, request_limits, server
from tests.render_trio.web.server.edge import edge, endless, get, hasty, open_files, post, read_to_end, send_for_ever

UPGRADE = (
    b"GET /200 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(("path", "status"), [("/401", 401), ("/404", 404), ("/200", 200)])
async def test_an_answer_to_a_large_body_leaves_no_connection(path: str, status: int) -> None:
    async with edge(hasty) as site:
        before = open_files()
        for _ in range(5):
            async with await site.connect() as stream:
                await stream.send_all(post(path, 900_000))
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 %d" % status)
        await site.all_closed()
        assert open_files() == before


@pytest.mark.parametrize("size", [server.HEADER_BYTES * 100, request_limits.DISCARDED_BYTES + 4_000_000])
async def test_a_body_that_is_too_large_leaves_no_connection(size: int) -> None:
    async with edge(hasty) as site:
        before = open_files()
        for _ in range(3):
            async with await site.connect() as stream, trio.open_nursery() as nursery:
                nursery.start_soon(_send_what_is_taken, stream, post("/200", size))
                answer = await read_to_end(stream)
            # Who sends more than is worth reading may be cut off before it has read why.
            assert answer.startswith(b"HTTP/1.1 413") or (answer == b"" and size > request_limits.DISCARDED_BYTES)
        await site.all_closed()
        assert open_files() == before


async def test_a_limit_of_nothing_still_answers() -> None:
    async with edge(hasty, limit=0) as site:
        assert (await site.ask(post("/200", 10))).startswith(b"HTTP/1.1 413")
        assert (await site.ask(get("/200"))).startswith(b"HTTP/1.1 200")


async def _send_what_is_taken(stream: trio.SocketStream, data: bytes) -> None:
    try:
        await stream.send_all(data)
    except trio.BrokenResourceError:
        return


async def test_headers_that_never_end_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "KEEP_ALIVE_SECONDS", 0.2)
    async with edge(hasty) as site, await site.connect() as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\n")
        await send_for_ever(stream, b"X-A: b\r\n", 0.02)
        await site.all_closed()


async def test_a_body_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.2)
    async with edge(hasty) as site, await site.connect() as stream:
        await stream.send_all(post("/200", 1000)[:-500])
        answer = await read_to_end(stream)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"x-content-type-options" in answer
        await site.all_closed()


async def test_who_does_not_read_the_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.2)
    async with edge(endless) as site, await site.connect() as stream:
        await stream.send_all(get())
        await stream.receive_some(1)
        await site.all_closed()


async def test_who_asks_and_asks_without_reading_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.2)
    async with edge(hasty) as site, await site.connect() as stream:
        await send_for_ever(stream, get(close=False) * 1000, 0)
        await site.all_closed()


@pytest.mark.parametrize("most", [server.MAX_CONNECTIONS, 1], ids=["open", "out of the list already"])
async def test_who_does_not_read_does_not_hold_up_the_end(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", math.inf)
    monkeypatch.setattr(connection, "LAST_SEND_SECONDS", 0.1)
    monkeypatch.setattr(server, "MAX_CONNECTIONS", most)
    async with edge(endless) as site:
        streams = [await site.connect() for _ in range(2)]
        for stream in streams:
            await stream.send_all(get())
        await streams[1].receive_some(1)
    for stream in streams:
        await stream.aclose()


async def test_when_there_are_too_many_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
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
async def test_what_is_no_request_is_refused_and_secured(request_bytes: bytes, status: int) -> None:
    async with edge(hasty) as site:
        async with await site.connect() as stream, trio.open_nursery() as nursery:
            nursery.start_soon(_send_what_is_taken, stream, request_bytes)
            answer = await read_to_end(stream)
        # What is left unread of a request resets the connection, and may take the answer along.
        assert answer == b"" or answer.startswith(b"HTTP/1.1 %d" % status)
        assert answer == b"" or b"x-content-type-options: nosniff" in answer
        assert b"Traceback" not in answer
        assert (await site.ask(get("/200"))).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("request_bytes", [UPGRADE, HTTP2], ids=["websocket", "HTTP/2"])
async def test_other_protocols_are_not_spoken(request_bytes: bytes) -> None:
    async with edge(hasty) as site, await site.connect() as other:
        await other.send_all(get("/200", close=False))
        await other.receive_some()
        answer = await site.ask(request_bytes + b"\xff\x00\xfe" * 100 + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 ")
        assert b"101 " not in answer[:20]
        assert b"x-content-type-options: nosniff" in answer
        await other.send_all(get("/200"))
        assert b"HTTP/1.1 200" in await read_to_end(other), "only its own connection ended"


async def test_an_application_that_fails_ends_its_own_connection_without_a_traceback() -> None:
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
