"""The clock of the machine is set back or ahead: due tasks can be leased, leases keep their length, nothing is lost.

The clock of the queue's process is shifted by libfaketime; the clock of the machine isn't touched.
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest

from emulator.stores.interface import SECOND, LeaseOrder, NewTask, QueueKey
from emulator.stores.sqlite import clock as store_clock
from emulator.stores.sqlite.clock import MachineClock
from emulator.stores.sqlite.store import SqliteStore
from tests.emulator.server.running import TASKS
from tests.emulator.stores.sqlite.faulty import Queue, running_queue

HOUR = 3600
KEY = QueueKey("p", "q")


def _library() -> str:
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if found is None:
        raise RuntimeError("libfaketime is missing: apt-get install faketime")
    return str(found)


class ShiftedQueue:
    """The settings of a queue whose clock differs from that of the machine by the number of seconds in a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.shift(0)
        self.settings = {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def shift(self, seconds: int) -> None:
        """Set the clock."""
        part = self._file.with_suffix(".part")
        part.write_text(f"{seconds:+d}")
        part.rename(self._file)


def _lease_end(queue: Queue, name: str) -> int:
    reply = queue.client.get(f"{TASKS}/{name}")
    return int(reply.json()["leaseTimestamp"])


def _renew(queue: Queue, name: str, seconds: int) -> int:
    body = {"queueName": "print", "leaseTimestamp": str(_lease_end(queue, name))}
    return queue.client.patch(f"{TASKS}/{name}?newLeaseSeconds={seconds}", json=body).status_code


@pytest.mark.parametrize("hours", [-1, 1, -24 * 365, 24 * 365])
def test_a_clock_that_is_set_loses_no_task_and_no_lease(file: Path, tmp_path: Path, hours: int) -> None:
    shifted = ShiftedQueue(tmp_path)
    with running_queue(file, **shifted.settings) as queue:
        queue.insert("held")
        assert queue.lease(seconds=100) == ["held"]
        queue.insert("due")
        shifted.shift(hours * HOUR)
        queue.wait_for_health(200)
        assert queue.lease(seconds=100) == ["due"]
        queue.insert("new")
        assert queue.lease(seconds=100) == ["new"]
        assert _renew(queue, "held", 100) == 200
        assert queue.lease() == []
        assert _renew(queue, "held", 0) == 200
        assert queue.lease(seconds=100) == ["held"]
        assert [queue.delete(name) for name in ("held", "due", "new")] == [204] * 3
        queue.wait_for_health(200)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_lease_ends_after_its_seconds_although_the_clock_is_set(file: Path, tmp_path: Path, hours: int) -> None:
    shifted = ShiftedQueue(tmp_path)
    with running_queue(file, **shifted.settings) as queue:
        queue.insert("one")
        started = time.monotonic()
        assert queue.lease(seconds=3) == ["one"]
        shifted.shift(hours * HOUR)
        while not queue.lease(seconds=100):
            assert time.monotonic() < started + 10
            time.sleep(0.05)
        assert time.monotonic() >= started + 3


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_restart_after_the_clock_was_set_loses_no_task(file: Path, tmp_path: Path, hours: int) -> None:
    shifted = ShiftedQueue(tmp_path)
    with running_queue(file, **shifted.settings) as queue:
        queue.insert("due")
        queue.insert("held")
        queue.lease(count=1, seconds=100)
        end = _lease_end(queue, "due")
    shifted.shift(hours * HOUR)
    with running_queue(file, **shifted.settings) as queue:
        assert queue.lease(seconds=100) == ["held"]
        assert _lease_end(queue, "due") == end
        assert _renew(queue, "due", 100) == 200


def test_two_processes_have_the_same_time_although_one_started_after_the_clock_was_set(
    file: Path, tmp_path: Path
) -> None:
    shifted = ShiftedQueue(tmp_path)
    with running_queue(file, **shifted.settings) as first:
        first.insert("one")
        shifted.shift(-HOUR)
        with running_queue(file, **shifted.settings) as second:
            assert second.lease(seconds=100) == ["one"]
            assert first.lease() == []
            assert _renew(first, "one", 100) == 200
            second.insert("two")
            assert first.lease(seconds=100) == ["two"]


class SetClock(MachineClock):
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.boot = "first"
        self.steady = 1_000 * SECOND
        self.wall = 1_700_000_000 * SECOND

    def steady_us(self) -> int:
        return self.steady

    def wall_us(self) -> int:
        return self.wall

    def pass_seconds(self, seconds: int) -> None:
        self.steady += seconds * SECOND
        self.wall += seconds * SECOND


def test_the_time_of_the_machine_is_taken_over_when_no_task_is_leased(file: Path) -> None:
    clock = SetClock()
    with closing(SqliteStore(file, clock=clock)) as store:
        store.insert(KEY, NewTask("one", "eA=="))
        (leased,) = store.lease(KEY, LeaseOrder(1, 60))
        clock.wall += HOUR * SECOND
        assert store.check().problem is None
        assert store.now_us() == clock.wall - HOUR * SECOND
        store.renew(KEY, "one", leased.eta_us, 60)
        store.delete(KEY, "one")
        assert store.check().problem is None
        assert store.now_us() == clock.wall


def test_the_time_never_goes_back(file: Path) -> None:
    clock = SetClock()
    before = clock.wall
    with closing(SqliteStore(file, clock=clock)) as store:
        clock.wall -= HOUR * SECOND
        assert store.check().problem is None
        assert store.now_us() == before
        clock.pass_seconds(60)
        assert store.now_us() == before + 60 * SECOND
    # The machine restarts with a clock that is back by a day.
    clock.boot, clock.steady, clock.wall = "second", 0, before - 24 * HOUR * SECOND
    with closing(SqliteStore(file, clock=clock)) as store:
        assert store.now_us() >= before
        clock.pass_seconds(5)
        assert store.now_us() >= before + 5 * SECOND


def test_the_time_continues_with_that_of_the_machine_after_its_restart(file: Path) -> None:
    clock = SetClock()
    with closing(SqliteStore(file, clock=clock)) as store:
        store.insert(KEY, NewTask("one", "eA=="))
    clock.boot, clock.steady, clock.wall = "second", 0, clock.wall + HOUR * SECOND
    with closing(SqliteStore(file, clock=clock)) as store:
        assert store.now_us() == clock.wall


@pytest.mark.parametrize("steady", [0, 10**15])
def test_an_offset_of_another_steady_clock_is_not_used(file: Path, steady: int) -> None:
    """Without a boot ID, or if a container has a clock of its own."""
    clock = SetClock()
    with closing(SqliteStore(file, clock=clock)) as store:
        store.insert(KEY, NewTask("one", "eA=="))
    clock.steady = steady
    with closing(SqliteStore(file, clock=clock)) as store:
        assert store.now_us() == clock.wall
        assert len(store.lease(KEY, LeaseOrder(1, 60))) == 1


def test_an_advanced_clock_stays_advanced_after_a_restart_of_the_machine(file: Path) -> None:
    clock = SetClock()
    with closing(SqliteStore(file, clock=clock)) as store:
        store.advance(HOUR)
    clock.boot, clock.steady = "second", 0
    with closing(SqliteStore(file, clock=clock)) as store:
        assert store.now_us() == clock.wall + HOUR * SECOND
        store.reset()
        assert store.now_us() == clock.wall


def test_the_clock_of_the_machine_is_steady() -> None:
    clock = MachineClock()
    assert clock.boot
    assert abs(clock.wall_us() - time.time_ns() // 1000) < 60 * SECOND
    first = clock.steady_us()
    assert first <= clock.steady_us()
    assert store_clock.TOLERANCE_US == SECOND
