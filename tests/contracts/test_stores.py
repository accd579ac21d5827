"""Both stores fulfil the same contract, also when two processes share a store."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.stores.interface import (
    SECOND,
    LeaseOrder,
    NewTask,
    QueueKey,
    Store,
    TaskExistsError,
)
from emulator.stores.opening import open_store
from tests.contracts import store_contract, store_contract_queues


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'queue.sqlite3'}"
    return str(request.getfixturevalue("redis_server").url)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def queue() -> QueueKey:
    return QueueKey("project", f"q-{uuid.uuid4().hex}")


CONTRACT = store_contract.CONTRACT + store_contract_queues.CONTRACT


@pytest.mark.parametrize("rule", CONTRACT, ids=lambda rule: rule.__name__)
def test_the_store_fulfils_the_contract(rule: Callable[[Store, QueueKey], None], store: Store, queue: QueueKey) -> None:
    rule(store, queue)


def test_the_lifetime_of_tombstones_is_configurable(store_url: str, queue: QueueKey) -> None:
    store = open_store(store_url, tombstone_seconds=10)
    store.insert(queue, NewTask("one", "eA=="))
    store.delete(queue, "one")
    store.advance(9)
    with pytest.raises(TaskExistsError):
        store.insert(queue, NewTask("one", "eA=="))
    store.advance(2)
    store.insert(queue, NewTask("one", "eA=="))
    store.close()


def test_clock_pauses_and_resets_are_shared(store_url: str, queue: QueueKey) -> None:
    first, second = open_store(store_url), open_store(store_url)
    first.insert(queue, NewTask("one", "eA=="))
    second.lease(queue, LeaseOrder(1, 600))
    second.advance(601)
    assert abs(first.now_us() - second.now_us()) < 60 * SECOND
    second.pause(queue)
    assert first.lease(queue, LeaseOrder(1, 60)) == []
    second.resume(queue)
    assert len(first.lease(queue, LeaseOrder(1, 60))) == 1
    second.reset()
    assert first.insert(queue, NewTask("one", "eA==")).retry_count == 0
    assert second.queues() == [queue]
    first.close()
    second.close()


@pytest.mark.parametrize("url", ["", "mysql://x", "sqlite:///", "queue.sqlite3"])
def test_an_unknown_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="allowed: sqlite"):
        open_store(url)
