"""Streams of events are bounded, and carry any text unchanged."""

from __future__ import annotations

import trio

from render_trio.web.server_sent_events import STREAM_BYTES, STREAM_SECONDS, Listeners, event


def listeners(limit: int = 5) -> Listeners:
    return Listeners(limit, trio.Event())


async def read_all(listeners: Listeners, text: bytes, seconds: float = 0) -> list[bytes]:
    async def source() -> bytes | None:
        await trio.sleep(seconds)
        return text

    async with listeners.respond(source, "192.0.2.1").response as stream:
        return [part async for part in stream]


async def test_a_stream_ends_before_an_unread_stream_could_block_the_server() -> None:
    some = listeners()
    parts = await read_all(some, b"x" * 50_000)
    assert parts[0].startswith(b"retry: ")
    assert STREAM_BYTES <= sum(map(len, parts)) < STREAM_BYTES + 50_000
    assert some.count == 0


async def test_a_silent_stream_sends_pings_and_ends_after_its_time_limit(autojump_clock: object) -> None:
    began = trio.current_time()
    parts = await read_all(listeners(), b"", 10)
    assert set(parts[1:]) == {b": still here\n\n"}
    assert trio.current_time() - began == STREAM_SECONDS


async def test_simultaneous_requests_beyond_the_limit_end_at_once() -> None:
    some = listeners(1)

    async def source() -> bytes | None:
        return b"x"

    first, second = (some.respond(source, name).response for name in ("a", "b"))
    async with first as one, second as two:
        assert len([part async for part in two]) == 1
        assert some.count == 2
    assert some.count == 0
    assert one is not two


async def test_simultaneous_requests_of_one_client_beyond_its_share_end_at_once() -> None:
    some = listeners(8)

    async def source() -> bytes | None:
        return b"x"

    first, second, third = (some.respond(source, "a").response for _ in range(3))
    async with first, second, third as last:
        assert len([part async for part in last]) == 1
        assert some.respond(source, "a").status_code == 429
        assert some.respond(source, "b").status_code == 200
    assert some.count == 0


def test_line_breaks_never_end_an_event() -> None:
    text = "a\r\nb\rc\n\nevent: forged\u2028d"
    lines = event("page", text).decode().split("\n")
    assert lines == ["event: page", "data: a", "data: b", "data: c", "data: ", "data: event: forged\u2028d", "", ""]
