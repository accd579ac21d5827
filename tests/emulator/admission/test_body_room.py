"""The room for request bodies: who waits, who is admitted, and what a client that goes away leaves behind."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from emulator.admission.body_room import CLIENT_BYTES, LARGE_BYTES, SMALL_BODY, SMALL_BYTES, WAIT_SECONDS, BodyRoom
from emulator.wire.errors import ApiError

HALF = CLIENT_BYTES
A, B, C, D = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"


async def admitted(room: BodyRoom, client: str, size: int) -> bool:
    """Return whether a body is admitted without a wait; give the room back if it waits."""
    with trio.move_on_after(0.1) as scope:
        await room.reserve(client, size)
    return not scope.cancelled_caught


async def test_a_body_waits_until_there_is_room(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    assert await admitted(room, A, HALF)
    assert await admitted(room, B, HALF)
    assert not await admitted(room, C, SMALL_BODY + 1)
    order: list[str] = []

    async def send(client: str, size: int) -> None:
        await room.reserve(client, size)
        order.append(client)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, C, HALF)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(send, D, SMALL_BODY + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert order == []
        room.release(A, HALF)
        await trio.testing.wait_all_tasks_blocked()
        assert order == [C]
        room.release(B, HALF)
    assert order == [C, D]


async def test_one_client_leaves_room_for_others(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    assert await admitted(room, A, HALF)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(room.reserve, A, SMALL_BODY + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert await admitted(room, B, HALF)
        room.release(A, HALF)
    assert HALF * 2 == LARGE_BYTES


async def test_large_bodies_leave_room_for_small_ones(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    await room.reserve(A, HALF)
    await room.reserve(B, HALF)
    for _ in range(SMALL_BYTES // SMALL_BODY):
        assert await admitted(room, C, SMALL_BODY)
    with pytest.raises(ApiError) as caught:
        await room.reserve(C, 1)
    assert caught.value.status == 503
    room.release(C, SMALL_BODY)
    assert await admitted(room, C, 1)


async def test_a_body_that_waits_too_long_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    await room.reserve(A, HALF)
    with pytest.raises(ApiError) as caught:
        await room.reserve(A, HALF)
    assert (caught.value.status, trio.current_time() >= WAIT_SECONDS) == (503, True)
    room.release(A, HALF)
    assert await admitted(room, A, HALF)


async def test_a_client_that_goes_away_returns_its_room(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    await room.reserve(A, HALF)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(room.reserve, A, HALF)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    room.release(A, HALF)
    assert await admitted(room, A, HALF)
    assert not await admitted(room, A, HALF)


async def test_the_addresses_of_an_ipv6_network_share_their_room(autojump_clock: trio.testing.MockClock) -> None:
    room = BodyRoom()
    assert await admitted(room, "2001:db8::1", HALF)
    assert not await admitted(room, "2001:db8::2", SMALL_BODY + 1)
    assert await admitted(room, "2001:db8:0:1::1", HALF)
