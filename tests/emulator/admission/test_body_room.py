"""The room for request bodies: who waits, who is admitted, and what a client that goes away leaves behind."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from emulator.admission.body_room import CLIENT_BYTES, LARGE_BYTES, SMALL_BODY, SMALL_BYTES, WAIT_SECONDS, BodyRoom
from emulator.wire.errors import ApiError

HALF = CLIENT_BYTES


async def admitted(room: BodyRoom, client: str, size: int) -> bool:
    """Return whether a body is admitted without a wait; give the room back if it waits."""
    with trio.move_on_after(0.1) as scope:
        await room.reserve(client, size)
    return not scope.cancelled_caught


async def test_a_body_waits_until_there_is_room(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    assert await admitted(room, "a", HALF)
    assert await admitted(room, "b", HALF)
    assert not await admitted(room, "c", SMALL_BODY + 1)
    order: list[str] = []

    async def send(client: str, size: int) -> None:
        await room.reserve(client, size)
        order.append(client)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, "c", HALF)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(send, "d", SMALL_BODY + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert order == []
        room.release("a", HALF)
        await trio.testing.wait_all_tasks_blocked()
        assert order == ["c"]
        room.release("b", HALF)
    assert order == ["c", "d"]


async def test_one_client_leaves_room_for_others(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    assert await admitted(room, "a", HALF)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(room.reserve, "a", SMALL_BODY + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert await admitted(room, "b", HALF)
        room.release("a", HALF)
    assert HALF * 2 == LARGE_BYTES


async def test_large_bodies_leave_room_for_small_ones(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    await room.reserve("a", HALF)
    await room.reserve("b", HALF)
    for _ in range(SMALL_BYTES // SMALL_BODY):
        assert await admitted(room, "c", SMALL_BODY)
    with pytest.raises(ApiError) as caught:
        await room.reserve("c", 1)
    assert caught.value.status == 503
    room.release("c", SMALL_BODY)
    assert await admitted(room, "c", 1)


async def test_a_body_that_waits_too_long_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    await room.reserve("a", HALF)
    with pytest.raises(ApiError) as caught:
        await room.reserve("a", HALF)
    assert (caught.value.status, trio.current_time() >= WAIT_SECONDS) == (503, True)
    room.release("a", HALF)
    assert await admitted(room, "a", HALF)


async def test_a_client_that_goes_away_returns_its_room(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    await room.reserve("a", HALF)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(room.reserve, "a", HALF)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    room.release("a", HALF)
    assert await admitted(room, "a", HALF)
    assert not await admitted(room, "a", HALF)
