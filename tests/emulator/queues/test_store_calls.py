"""Calls of the store: inline or in a thread, never abandoned; and the errors and limits of the service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from emulator.permissions.access import Access, Need
from emulator.permissions.queue_file import QueueFile, QueueRule
from emulator.queues import queue_service, store_check
from emulator.queues.queue_service import LARGE_LEASE, STORE_THREADS, QueueService
from emulator.queues.store_check import StoreCheck
from emulator.stores.interface import (
    SECOND,
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    NewTask,
    QueueKey,
    StoreBusyError,
    StoreHealth,
    StorePendingError,
    StoreUnavailableError,
    TaskExistsError,
    TaskUnknownError,
)
from emulator.stores.sqlite.store import SqliteStore
from emulator.wire.calls import Call
from emulator.wire.errors import ApiError
from emulator.wire.parameters import ETA_AHEAD_DAYS

QUEUE = QueueKey("project", "q")
CALL = Call("GET", "/")


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    with closing(SqliteStore(":memory:")) as store:
        yield store


def thread_name(*_: object) -> str:
    """Stand in for a method of the store; return the name of the thread that called it."""
    return threading.current_thread().name


@pytest.mark.parametrize(
    ("arguments", "inline"),
    [
        ((), True),
        ((QUEUE, "one"), True),
        ((QUEUE, LeaseOrder(1, 60)), True),
        ((QUEUE, LeaseOrder(100, 60)), True),
        ((QUEUE, LeaseOrder(101, 60)), False),
        ((QUEUE, LeaseOrder(1000, 60)), False),
    ],
)
async def test_a_quick_call_is_made_on_the_event_loop_and_a_large_one_in_a_thread(
    store: SqliteStore, arguments: tuple[object, ...], inline: bool
) -> None:
    assert store.runs_inline
    name = await QueueService(store, Access()).call_store(thread_name, *arguments)
    assert (name == threading.current_thread().name) is inline
    assert LARGE_LEASE == 100


async def test_calls_of_a_busy_store_are_made_in_a_thread(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "runs_inline", property(lambda _: False))
    name = await QueueService(store, Access()).call_store(thread_name, QUEUE)
    assert name != threading.current_thread().name


async def test_a_call_that_finds_the_store_busy_is_repeated_in_a_thread(store: SqliteStore) -> None:
    names: list[str] = []

    def method() -> str:
        names.append(thread_name())
        if len(names) == 1:
            raise StoreBusyError("locked")
        return "done"

    assert await QueueService(store, Access()).call_store(method) == "done"
    assert [name == threading.current_thread().name for name in names] == [True, False]


@pytest.mark.parametrize("disconnected", ["before the thread starts", "while it waits"])
async def test_a_late_reply_is_awaited_in_a_thread_although_the_client_disconnects(
    store: SqliteStore, disconnected: str
) -> None:
    replied: list[tuple[str, object]] = []
    client = trio.CancelScope()

    def method(argument: str) -> str:
        if not replied:
            if disconnected == "before the thread starts":
                client.cancel()
            raise StorePendingError(resume)
        return argument

    def resume(call: Callable[[], Any]) -> Any:
        trio.from_thread.run_sync(client.cancel)
        replied.append((thread_name(), None))
        return call()

    results = []
    with client:
        results.append(await QueueService(store, Access()).call_store(method, "reply"))
    assert results == ["reply"]
    assert replied[0][0] != threading.current_thread().name


@pytest.mark.parametrize("pending", [False, True])
async def test_the_number_of_store_calls_at_once_is_limited(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, pending: bool
) -> None:
    monkeypatch.setattr(queue_service, "STORE_THREADS", 3)
    monkeypatch.setattr(SqliteStore, "runs_inline", property(lambda _: pending))
    service = QueueService(store, Access())
    started: list[str] = []
    enough, resume = trio.Event(), threading.Event()
    loop = threading.current_thread()

    def method() -> None:
        if threading.current_thread() is loop:
            raise StorePendingError(lambda call: call())
        started.append(thread_name())
        if len(started) == 3:
            trio.from_thread.run_sync(enough.set)
        resume.wait(20)

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(service.call_store, method)
        with trio.fail_after(20):
            await enough.wait()
            await trio.testing.wait_all_tasks_blocked(0.05)
        assert len(started) == 3
        resume.set()
    assert len(started) == 6
    assert STORE_THREADS == 32


@pytest.mark.parametrize(
    ("error", "status", "reason", "location"),
    [
        (TaskUnknownError("gone"), 404, "", ""),
        (TaskExistsError("gone"), 409, "", ""),
        (LeaseExpiredError("gone"), 400, "leaseExpired", ""),
        (LeaseConflictError("gone"), 400, "leaseConflict", "leaseTimestamp"),
    ],
)
@pytest.mark.parametrize("inline", [True, False])
async def test_a_refusal_of_the_store_becomes_an_error_reply(
    store: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    inline: bool,
    error: Exception,
    status: int,
    reason: str,
    location: str,
) -> None:
    monkeypatch.setattr(SqliteStore, "runs_inline", property(lambda _: inline))

    def refuse() -> None:
        raise error

    with pytest.raises(ApiError) as caught:
        await QueueService(store, Access()).call_store(refuse)
    found = caught.value
    assert (found.status, found.message, found.reason, found.location) == (status, "gone", reason, location)


async def test_an_unavailable_store_is_no_refusal(store: SqliteStore) -> None:
    def fail() -> None:
        raise StoreUnavailableError("no disk")

    with pytest.raises(StoreUnavailableError, match="no disk"):
        await QueueService(store, Access()).call_store(fail)


async def test_an_eta_is_in_the_next_thirty_days(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000 * SECOND
    monkeypatch.setattr(store, "now_us", lambda: now)
    service = QueueService(store, Access())
    latest = now + 30 * 86_400 * SECOND
    assert ETA_AHEAD_DAYS == 30
    assert await service.due(latest, "eta") == latest
    assert await service.due(now + 1, "eta") == now + 1
    assert await service.due(now, "eta") is None
    assert await service.due(now - 1, "eta") is None
    with pytest.raises(ApiError) as caught:
        await service.due(latest + 1, "eta")
    assert (caught.value.status, caught.value.location, caught.value.location_type) == (400, "eta", "field")


async def test_queues_are_those_of_the_file_or_of_the_project(store: SqliteStore) -> None:
    for project, name in (("project", "b"), ("another", "c"), ("project", "a")):
        store.declare(QueueKey(project, name))
    store.insert(QueueKey("project", "a"), NewTask("one", "eA=="))
    service = QueueService(store, Access())
    assert [queue.name for queue in await service.queues_of("project")] == ["a", "b"]
    totals = [(queue.name, stats.total) for queue, stats in (await service.all_stats())[0]]
    assert totals == [("c", 0), ("a", 1), ("b", 0)]
    of_file = QueueService(store, Access(QueueFile({"z": QueueRule("z", 3), "y": QueueRule("y")})))
    assert await of_file.queues_of("project") == [QueueKey("project", "y"), QueueKey("project", "z")]
    assert of_file.retry_limit(QueueKey("project", "z")) == 3
    assert of_file.queue(CALL, "project", "z", Need.USE) == QueueKey("project", "z")
    assert of_file.permits(CALL, Need.USE, QueueKey("project", "z"))
    assert not of_file.permits(CALL, Need.USE, QueueKey("project", "a"))
    with pytest.raises(ApiError, match="not in the queue file"):
        of_file.queue(CALL, "project", "a", Need.USE)


async def test_underscores_in_queue_names_need_the_legacy_shapes(store: SqliteStore) -> None:
    assert QueueService(store, Access(), legacy_shapes=True).key("project", "a_b").name == "a_b"
    service = QueueService(store, Access())
    assert not service.legacy_shapes
    with pytest.raises(ApiError):
        service.key("project", "a_b")


async def test_a_lease_does_not_wait_unless_requested(
    store: SqliteStore, autojump_clock: trio.testing.MockClock
) -> None:
    service = QueueService(store, Access())
    started = autojump_clock.current_time()
    assert await service.lease(QUEUE, LeaseOrder(1, 60)) == []
    assert autojump_clock.current_time() == started
    assert await service.lease(QUEUE, LeaseOrder(1, 60), 7) == []
    assert autojump_clock.current_time() == pytest.approx(started + 7)


async def test_an_inserted_task_is_leased_at_once_without_a_notification_of_the_store(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(store, "watch", lambda notify: None)
    service = QueueService(store, Access())
    started = autojump_clock.current_time()
    leased = []

    async def lease() -> None:
        leased.extend(await service.lease(QUEUE, LeaseOrder(1, 60), 60))
        assert autojump_clock.current_time() == pytest.approx(started + 0.1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lease)
        await trio.sleep(0.1)
        assert (await service.insert(QUEUE, NewTask("one", "eA=="))).id == "one"
    assert [task.id for task in leased] == ["one"]


async def test_the_result_of_a_check_is_used_for_one_second(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, mock_clock: trio.testing.MockClock
) -> None:
    results = [StoreHealth("first"), StoreHealth("second"), StoreHealth("third")]
    monkeypatch.setattr(store, "check", lambda: results.pop(0))
    check = StoreCheck(store)
    found = []
    for seconds in (0, 0.99, 0.02, 1.0):
        mock_clock.jump(seconds)
        found.append((await check.health()).problem)
    assert found == ["first", "first", "second", "third"]


async def test_a_check_that_hangs_is_reported_after_three_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock_clock: trio.testing.MockClock
) -> None:
    started, resume = trio.Event(), threading.Event()

    def hang() -> StoreHealth:
        trio.from_thread.run_sync(started.set)
        resume.wait(20)
        return StoreHealth()

    problems = []

    async def check() -> None:
        problems.append((await StoreCheck(store).health()).problem)

    with closing(SqliteStore(tmp_path / "queue.sqlite3")) as store:
        monkeypatch.setattr(store, "check", hang)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(check)
                await started.wait()
                mock_clock.jump(2.9)
                await trio.testing.wait_all_tasks_blocked()
                assert problems == []
                mock_clock.jump(0.2)
        finally:
            resume.set()
    assert "did not complete a check within 3 s" in str(problems[0])
    assert store_check.CHECK_SECONDS == 3
