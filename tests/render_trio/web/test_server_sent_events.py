"""Streams of events end by themselves, and carry any text whole."""

from __future__ import annotations

import trio

from render_trio.web.server_sent_events import STREAM_BYTES, STREAM_SECONDS, Listeners, event


def listeners(most: int = 5) -> Listeners:
    return Listeners(most, trio.Event())


async def drained(listeners: Listeners, text: bytes, seconds: float = 0) -> list[bytes]:
    async def source() -> bytes | None:
        await trio.sleep(seconds)
        return text

    async with listeners.answer(source).response as stream:
        return [part async for part in stream]


async def test_a_stream_ends_before_a_client_that_does_not_read_could_block_it() -> None:
    some = listeners()
    parts = await drained(some, b"x" * 50_000)
    assert parts[0].startswith(b"retry: ")
    assert STREAM_BYTES <= sum(map(len, parts)) < STREAM_BYTES + 50_000
    assert some.count == 0


async def test_a_quiet_stream_says_that_it_is_there_and_ends_after_a_while(autojump_clock: object) -> None:
    began = trio.current_time()
    parts = await drained(listeners(), b"", 10)
    assert set(parts[1:]) == {b": still here\n\n"}
    assert trio.current_time() - began == STREAM_SECONDS


async def test_of_those_who_came_at_once_the_last_find_it_full() -> None:
    some = listeners(1)

    async def source() -> bytes | None:
        return b"x"

    first, second = some.answer(source).response, some.answer(source).response
    async with first as one, second as two:
        assert len([part async for part in two]) == 1
        assert some.count == 2
    assert some.count == 0
    assert one is not two


def test_a_line_break_never_ends_an_event() -> None:
    text = "a\r\nb\rc\n\nevent: forged\u2028d"
    lines = event("page", text).decode().split("\n")
    assert lines == ["event: page", "data: a", "data: b", "data: c", "data: ", "data: event: forged\u2028d", "", ""]
