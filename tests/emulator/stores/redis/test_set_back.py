"""A Redis whose clock is set back, to the microsecond: the clock of the queue continues, and is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from emulator.stores.interface import SECOND, LeaseOrder, NewTask, QueueKey, Store
from emulator.stores.redis.layout import queue_keys
from tests.redis_server import RedisServer

QUEUE = QueueKey("project", "set-back")
STATE = queue_keys(QUEUE)[0]
START = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = 3600
SetClock = Callable[[int], None]


@pytest.fixture
def set_clock(server: RedisServer) -> Iterator[SetClock]:
    """Set the clock of Redis to a number of seconds from START."""
    assert server._clock is not None
    file, before = server._clock, server._clock.read_text()

    def set_clock(seconds: int) -> None:
        file.write_text((START + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S"))

    yield set_clock
    file.write_text(before)


def now(store: Store, name: str) -> int:
    """Return the time of the queue, by inserting a task."""
    return store.insert(QUEUE, NewTask(name, "eA==")).enqueued_us


def test_the_clock_of_a_queue_continues(store: Store, client: redis.Redis, set_clock: SetClock) -> None:
    start = now(store, "one")
    set_clock(-HOUR)
    assert now(store, "two") == start
    set_clock(-HOUR + 30)
    assert now(store, "three") == start + 30 * SECOND
    set_clock(-2 * HOUR)
    assert now(store, "four") == start + 30 * SECOND
    set_clock(-2 * HOUR + 5)
    assert now(store, "five") == start + 35 * SECOND
    set_clock(40)
    assert now(store, "six") == start + 40 * SECOND
    assert client.hget(STATE, "shift") == "0"
    set_clock(50)
    assert now(store, "seven") == start + 50 * SECOND


@pytest.mark.parametrize(
    "operate",
    [
        lambda store: store.insert(QUEUE, NewTask("new", "eA==")),
        lambda store: store.renew(QUEUE, "held", None, 60),
        lambda store: store.release(QUEUE, "held"),
        lambda store: store.delete(QUEUE, "due"),
        lambda store: store.delete(QUEUE, "dead"),
        lambda store: store.revive(QUEUE, "dead"),
        lambda store: store.lease(QUEUE, LeaseOrder(1, 60)),
        lambda store: store.lease(QUEUE, LeaseOrder(1, 60, retry_limit=0)),
        lambda store: store.lease(QUEUE, LeaseOrder(1, 60, group_by_tag=True, tag="none")),
        lambda store: store.lease(QUEUE, LeaseOrder(1, 60, group_by_tag=True, tag="none", awaited=True)),
    ],
)
def test_each_operation_records_that_the_clock_was_set_back(
    store: Store, set_clock: SetClock, operate: Callable[[Store], object]
) -> None:
    """Otherwise, the clock of a queue with this operation only would stand still until Redis has caught up."""
    store.insert(QUEUE, NewTask("dead", "eA=="))
    store.lease(QUEUE, LeaseOrder(1, 0))
    store.lease(QUEUE, LeaseOrder(1, 0, retry_limit=1))
    store.insert(QUEUE, NewTask("held", "eA=="))
    store.lease(QUEUE, LeaseOrder(1, 600))
    start = now(store, "due")
    set_clock(-HOUR)
    operate(store)
    set_clock(-HOUR + 30)
    assert now(store, "later") == start + 30 * SECOND


@pytest.mark.parametrize(
    "operate",
    [
        lambda store: store.insert(QUEUE, NewTask("new", "eA==")),
        lambda store: store.renew(QUEUE, "held", None, 60),
        lambda store: store.release(QUEUE, "held"),
        lambda store: store.delete(QUEUE, "due"),
        lambda store: store.lease(QUEUE, LeaseOrder(1, 60)),
    ],
)
def test_each_change_records_the_time(store: Store, set_clock: SetClock, operate: Callable[[Store], object]) -> None:
    store.insert(QUEUE, NewTask("held", "eA=="))
    store.lease(QUEUE, LeaseOrder(1, 600))
    start = now(store, "due")
    set_clock(20)
    operate(store)
    set_clock(-HOUR)
    assert now(store, "later") == start + 20 * SECOND
