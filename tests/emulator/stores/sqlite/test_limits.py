"""Leases and statistics of a SQLite store at both sides of each limit, by a clock that the tests set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from emulator.stores.interface import SECOND, LeaseExpiredError, LeaseOrder, NewTask, QueueKey, TaskExistsError
from emulator.stores.sqlite import leasing, store
from emulator.stores.sqlite.store import SqliteStore
from tests.emulator.stores.sqlite.test_clock import SetClock

KEY = QueueKey("p", "q")


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def tasks(clock: SetClock) -> Iterator[SqliteStore]:
    """A store in memory with that clock."""
    with closing(SqliteStore(":memory:", clock=clock)) as opened:
        yield opened


def insert(tasks: SqliteStore, *names: str, tag: str | None = None, payload: str = "eA==") -> None:
    for name in names:
        tasks.insert(KEY, NewTask(name, payload, tag))


def leased(tasks: SqliteStore, order: LeaseOrder) -> list[str]:
    return [task.id for task in tasks.lease(KEY, order)]


def count(tasks: SqliteStore, table: str) -> int:
    with tasks._file.read as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize(
    ("max_bytes", "expected"),
    [(1, ["a"]), (40, ["a"]), (79, ["a"]), (80, ["a", "b"]), (119, ["a", "b"]), (120, ["a", "b", "c"])],
)
def test_a_lease_returns_as_many_tasks_as_its_bytes_allow(
    tasks: SqliteStore, max_bytes: int, expected: list[str]
) -> None:
    insert(tasks, "a", "b", "c", payload="A" * 40)
    assert leased(tasks, LeaseOrder(10, 60, max_bytes=max_bytes)) == expected


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_lease_returns_as_many_tasks_as_requested(tasks: SqliteStore, number: int) -> None:
    insert(tasks, "a", "b", "c")
    assert len(leased(tasks, LeaseOrder(number, 60))) == number
    assert count(tasks, "tasks WHERE retry_count = 1") == number


def test_a_task_is_due_at_its_eta_and_a_lease_ends_at_its_end(tasks: SqliteStore, clock: SetClock) -> None:
    tasks.insert(KEY, NewTask("one", "eA==", eta_us=clock.wall + 5 * SECOND))
    assert tasks.due_in(KEY) == 5 * SECOND
    clock.steady += 5 * SECOND - 1
    assert leased(tasks, LeaseOrder(1, 60)) == []
    assert tasks.due_in(KEY) == 1
    clock.steady += 1
    assert tasks.due_in(KEY) is None  # it is due
    (task,) = tasks.lease(KEY, LeaseOrder(1, 60))
    assert task.eta_us == clock.wall + 65 * SECOND
    assert task == replace(tasks.get(KEY, "one"), retry_count=0)
    clock.steady += 60 * SECOND - 1
    assert leased(tasks, LeaseOrder(1, 60)) == []
    tasks.renew(KEY, "one", task.eta_us, 0)
    with pytest.raises(LeaseExpiredError):
        tasks.renew(KEY, "one", None, 60)


@pytest.mark.parametrize("tag", [None, "x"])
def test_a_group_has_the_tag_of_its_oldest_task(tasks: SqliteStore, tag: str | None) -> None:
    insert(tasks, "a", tag=tag)
    insert(tasks, "b", tag="y")
    insert(tasks, "c", tag=tag)
    assert leased(tasks, LeaseOrder(10, 60, group_by_tag=True)) == ["a", "c"]
    assert leased(tasks, LeaseOrder(10, 60, group_by_tag=True, tag="y")) == ["b"]


@pytest.mark.parametrize("grouped", [False, True])
def test_a_task_is_buried_at_its_retry_limit_and_not_before(tasks: SqliteStore, grouped: bool) -> None:
    insert(tasks, "a")
    order = LeaseOrder(1, 0, retry_limit=2, group_by_tag=grouped)
    assert [leased(tasks, order) for _ in range(4)] == [["a"], ["a"], [], []]
    assert [task.id for task in tasks.dead_letters(KEY, 9)] == ["a"]
    assert (tasks.stats(KEY).total, tasks.stats(KEY).dead) == (0, 1)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_lease_continues_after_a_full_transaction_of_dead_letters(
    tasks: SqliteStore, monkeypatch: pytest.MonkeyPatch, grouped: bool
) -> None:
    for module in (leasing, store):
        monkeypatch.setattr(module, "MAX_DEAD_LETTERED", 3)
    insert(tasks, *(f"t{number}" for number in range(7)))
    tasks.lease(KEY, LeaseOrder(7, 0))
    insert(tasks, "u")
    assert leased(tasks, LeaseOrder(9, 60, retry_limit=1, group_by_tag=grouped)) == ["u"]
    assert tasks.stats(KEY).dead == 7
    assert tasks.stats(KEY).total == 1


def test_leases_are_counted_for_a_minute_and_an_hour(tasks: SqliteStore, clock: SetClock) -> None:
    clock.steady -= clock.wall % SECOND
    insert(tasks, "a", "b", "c")
    tasks.lease(KEY, LeaseOrder(2, 600))
    tasks.lease(KEY, LeaseOrder(1, 600))
    found = []
    for seconds in (0, 59, 1, 3539, 1):
        clock.steady += seconds * SECOND
        stats = tasks.stats(KEY)
        found.append((stats.leased_last_minute, stats.leased_last_hour))
    assert found == [(3, 3), (3, 3), (0, 3), (0, 3), (0, 0)]


def test_counts_that_are_an_hour_old_are_removed_by_the_next_lease(tasks: SqliteStore, clock: SetClock) -> None:
    insert(tasks, "a", "b", "c")
    tasks.lease(KEY, LeaseOrder(1, 9999))
    clock.steady += 3599 * SECOND
    tasks.lease(KEY, LeaseOrder(1, 9999))
    assert count(tasks, "lease_counts") == 2
    clock.steady += SECOND
    tasks.lease(KEY, LeaseOrder(1, 9999))
    assert count(tasks, "lease_counts") == 2


def test_a_delete_removes_a_few_expired_tombstones(tasks: SqliteStore, clock: SetClock) -> None:
    names = [f"t{number}" for number in range(50)]
    insert(tasks, *names, "u", "v", "w")
    for name in names:
        tasks.delete(KEY, name)
    clock.steady += 3600 * SECOND - 1
    with pytest.raises(TaskExistsError):
        insert(tasks, "t0")
    tasks.delete(KEY, "u")
    assert count(tasks, "tombstones") == 51
    clock.steady += 1
    left = []
    for name in ("v", "w"):
        tasks.delete(KEY, name)
        left.append(count(tasks, "tombstones"))
    assert left == [32, 13]
    insert(tasks, "t0")
    assert leasing.MAX_TRIMMED == 20


def test_a_delete_and_a_purge_count_tasks_and_dead_letters_apart(tasks: SqliteStore) -> None:
    insert(tasks, "a", "b")
    tasks.lease(KEY, LeaseOrder(2, 0))
    insert(tasks, "c", "d")
    tasks.lease(KEY, LeaseOrder(1, 0, retry_limit=1))
    assert (tasks.stats(KEY).total, tasks.stats(KEY).dead) == (2, 2)
    tasks.delete(KEY, "a")
    assert (tasks.stats(KEY).total, tasks.stats(KEY).dead) == (2, 1)
    tasks.delete(KEY, "c")
    assert (tasks.stats(KEY).total, tasks.stats(KEY).dead) == (1, 1)
    assert tasks.purge(KEY, dead=True) == 1
    assert (tasks.stats(KEY).total, tasks.stats(KEY).dead) == (1, 0)
    assert tasks.purge(KEY) == 1
    assert tasks.purge(KEY) == tasks.purge(QueueKey("p", "unknown")) == 0
    assert count(tasks, "garbage") == count(tasks, "tasks") == 0


def test_an_unknown_queue_is_empty_and_reading_it_creates_nothing(tasks: SqliteStore) -> None:
    assert tasks.peek(KEY, 9) == tasks.dead_letters(KEY, 9) == tasks.lease(KEY, LeaseOrder(1, 60)) == []
    assert tasks.due_in(KEY) is None
    assert (tasks.stats(KEY).total, tasks.stats(KEY).oldest_us) == (0, None)
    assert tasks.queues() == []
    assert tasks.lease(KEY, LeaseOrder(1, 60, awaited=True)) == []
    assert tasks.queues() == [KEY]


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("step", ["insert", "release", "renew", "revive", "resume"])
def test_only_an_awaited_queue_is_notified(tasks: SqliteStore, step: str, awaited: bool) -> None:
    insert(tasks, "dead")
    tasks.lease(KEY, LeaseOrder(1, 0))
    insert(tasks, "one")
    (task,) = tasks.lease(KEY, LeaseOrder(1, 60, retry_limit=1))
    steps = {
        "insert": lambda: insert(tasks, "new"),
        "release": lambda: tasks.release(KEY, "one"),
        "renew": lambda: tasks.renew(KEY, "one", task.eta_us, 0),
        "revive": lambda: tasks.revive(KEY, "dead"),
        "resume": lambda: tasks.resume(KEY),
    }
    tasks.pause(KEY)
    assert tasks.lease(KEY, LeaseOrder(1, 60, awaited=awaited)) == []
    received: list[QueueKey | None] = []
    tasks._file._notifications._listeners.append(received.append)  # in memory, there are no other processes
    tasks.renew(KEY, "one", task.eta_us, 60)  # makes nothing due
    task = tasks.get(KEY, "one")
    assert received == []
    steps[step]()
    assert received == ([KEY] if awaited else [])


def test_all_queues_are_notified_when_the_clock_is_advanced(tasks: SqliteStore) -> None:
    received: list[QueueKey | None] = []
    tasks._file._notifications._listeners.append(received.append)
    before = tasks.now_us()
    assert tasks.advance(1.5) == before + 1_500_000 == tasks.now_us()
    assert received == [None]
