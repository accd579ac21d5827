"""The rules and limits that both stores share, at both sides of each limit; and the URLs of stores."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from emulator.stores import opening
from emulator.stores.interface import (
    MAX_ADVANCE,
    SECOND,
    TOMBSTONE_SECONDS,
    LeaseConflictError,
    LeaseExpiredError,
    LeaseOrder,
    NewTask,
    QueueKey,
    QueueStats,
    StoreBusyError,
    StoreFullError,
    StoreHealth,
    StorePendingError,
    StoreUnavailableError,
    check_lease,
    lease_conflict,
    lease_expired,
    microseconds_ahead,
    reserved_id,
    unknown_task,
)
from emulator.stores.sqlite.store import SqliteStore

QUEUE = QueueKey("p", "q")


@pytest.mark.parametrize(("seconds", "microseconds"), [(0, 0), (0.5, 500_000), (315_360_000, 315_360_000_000_000)])
def test_the_clock_is_advanced_by_up_to_ten_years(seconds: float, microseconds: int) -> None:
    assert microseconds_ahead(seconds) == microseconds
    assert microseconds <= MAX_ADVANCE * SECOND


@pytest.mark.parametrize("seconds", [-1, -0.001, 315_360_000.5, float("inf"), float("nan")])
def test_the_clock_is_not_advanced_by_more_or_less(seconds: float) -> None:
    with pytest.raises(ValueError, match="allowed: 0 to 315360000"):
        microseconds_ahead(seconds)


@pytest.mark.parametrize("lease_us", [None, 100])
def test_a_lease_holds_until_its_end(lease_us: int | None) -> None:
    check_lease("one", 100, 99, lease_us)
    for now in (100, 101):
        with pytest.raises(LeaseExpiredError, match="'one' has expired"):
            check_lease("one", 100, now, lease_us)


@pytest.mark.parametrize("now", [99, 100])
@pytest.mark.parametrize("lease_us", [0, 99, 101])
def test_another_lease_is_a_conflict_whether_or_not_it_has_expired(now: int, lease_us: int) -> None:
    with pytest.raises(LeaseConflictError, match=f"leaseTimestamp {lease_us} is not that of the current lease"):
        check_lease("one", 100, now, lease_us)


def test_errors_name_the_task_and_what_to_do() -> None:
    assert str(unknown_task(QUEUE, "one")) == "task 'one' does not exist in queue q"
    assert "task 'one' already exists" in str(reserved_id("one"))
    assert "lease the task again" in str(lease_expired("one"))
    assert "lease the task again" in str(lease_conflict("one", 5))


def test_only_a_full_store_can_still_be_drained() -> None:
    assert StoreHealth.failed(StoreFullError("no room")) == StoreHealth("no room", full=True)
    for error in (StoreUnavailableError("no disk"), StoreBusyError("no disk")):
        assert StoreHealth.failed(error) == StoreHealth("no disk", (), full=False)
    assert StoreHealth() == StoreHealth(None, (), full=False)


def test_an_order_has_no_restrictions_by_default() -> None:
    order = LeaseOrder(1, 60)
    assert (order.group_by_tag, order.tag, order.retry_limit, order.awaited) == (False, None, None, False)
    assert order.max_bytes == 32 * 1024 * 1024
    assert (QueueStats(0, None, 0, 0).dead, QueueStats(0, None, 0, 0).paused) == (0, False)


def test_a_late_reply_can_be_resumed() -> None:
    pending = StorePendingError(lambda call: call() + 1)
    assert pending.resume(lambda: 1) == 2
    assert str(pending) == "the reply is late"


def test_the_id_of_a_deleted_task_stays_reserved_for_an_hour_by_default(tmp_path: Path) -> None:
    assert TOMBSTONE_SECONDS == 3600
    with closing(opening.open_store(f"sqlite:///{tmp_path / 'q.sqlite3'}")) as store:
        assert isinstance(store, SqliteStore)
        assert store._tombstone_us == 3600 * SECOND
        store.insert(QUEUE, NewTask("one", "eA=="))
        assert store.purge(QUEUE, dead=True) == 0  # its dead letters; a purge deletes tasks by default
        assert store.purge(QUEUE) == 1


@pytest.mark.parametrize(
    "url", ["redis://h:1/2", "rediss://h:1/2", "unix:///s", "redis+sentinel://h:1/service/0", "redis://"]
)
def test_a_redis_url_opens_a_redis_store(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = object()
    calls: list[tuple[object, ...]] = []

    def open_redis(*arguments: object) -> object:
        calls.append(arguments)
        return opened

    monkeypatch.setattr(opening, "RedisStore", open_redis)
    found: object = opening.open_store(url, 7)
    assert found is opened
    assert calls == [(url, 7)]


@pytest.mark.parametrize("url", ["", "sqlite:///", "sqlite://q", "sqlite:", "http://h", "redis", "redis+x://h"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="allowed: sqlite:///FILE"):
        opening.open_store(url)
