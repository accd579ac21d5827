"""The subscription to notifications: silence, lost connections, failovers, and its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, Store
from emulator.stores.opening import open_store
from emulator.stores.redis import notifications
from tests import redis_faults
from tests.proxy import PASS, RESET, STALL
from tests.redis_faults import Stage, fail_over, failover, until

QUEUE = QueueKey("project", "notified")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with redis_faults.stage(tmp_path) as stage:
        yield stage


class Watch:
    """The notifications that a store has received, and a second store that causes them."""

    def __init__(self, stage: Stage) -> None:
        self.received: list[QueueKey | None] = []
        self.watching = open_store(stage.address)
        self.other: Store = open_store(stage.server.url)
        self.other.declare(QUEUE)
        self.watching.watch(self.received.append)
        until(lambda: self.received)
        self.received.clear()

    def notified_of_insert(self, name: str) -> None:
        """Wait until an insert by the other store is notified."""
        self.other.lease(QUEUE, LeaseOrder(1, 60, awaited=True))
        self.other.insert(QUEUE, NewTask(name, "eA=="))
        until(lambda: QUEUE in self.received)
        self.other.lease(QUEUE, LeaseOrder(1, 60))

    def close(self) -> None:
        self.watching.close()
        self.other.close()


@pytest.fixture
def watch(stage: Stage) -> Iterator[Watch]:
    watch = Watch(stage)
    yield watch
    watch.close()


def test_a_silent_connection_is_replaced(stage: Stage, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "SILENCE_SECONDS", 0.5)
    connections = stage.between.connections
    stage.between.behave(STALL)
    until(lambda: stage.between.connections > connections)  # noticed without any message
    stage.between.behave(PASS)
    until(lambda: None in watch.received)  # every new subscription notifies all queues
    watch.notified_of_insert("one")


def test_a_connection_that_replies_to_the_ping_is_kept(
    stage: Stage, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stage.server.client() as client:
        monkeypatch.setattr(notifications, "SILENCE_SECONDS", 1.5)
        client.config_resetstat()
        until(lambda: client.info("commandstats").get("cmdstat_ping", {}).get("calls", 0) >= 2)
    assert watch.received == []
    watch.notified_of_insert("one")


def test_a_lost_connection_is_replaced_and_logged_once(
    stage: Stage, watch: Watch, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "RESUBSCRIBE_SECONDS", 0.05)
    with caplog.at_level(logging.INFO):
        connections = stage.between.connections
        stage.between.behave(RESET)
        until(lambda: stage.between.connections >= connections + 4)
        stage.between.behave(PASS)
        until(lambda: None in watch.received)
    assert caplog.text.count("subscription lost") == 1
    assert caplog.text.count("subscribed again") == 1
    watch.notified_of_insert("one")


def test_after_a_failover_the_subscription_follows_the_new_master(stage: Stage, watch: Watch) -> None:
    with failover(stage) as replica:
        fail_over(stage, replica)
        assert watch.watching.check().problem is None  # notices the failover, for all connections
        with replica.client() as client:
            until(lambda: client.pubsub_numsub("render-trio:awaited")[0][1] == 1)


def test_the_thread_ends_with_the_store(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    store = open_store(stage.address)
    store.watch(lambda _: None)
    (thread,) = (
        set(threading.enumerate())
        - before
        - {other for other in threading.enumerate() if other.name != "redis-notifications"}
    )
    with caplog.at_level(logging.INFO):
        store.close()
    assert not thread.is_alive()
    assert "subscription lost" not in caplog.text


def test_a_store_whose_redis_hangs_is_closed_without_waiting_for_it(stage: Stage) -> None:
    received: list[QueueKey | None] = []
    store = open_store(stage.address)
    store.watch(received.append)
    until(lambda: received)
    with stage.server.frozen():
        store.close()
    assert not any(thread.name == "redis-notifications" and not thread.daemon for thread in threading.enumerate())


def test_a_store_without_listeners_does_not_subscribe(stage: Stage) -> None:
    store = open_store(stage.address)
    with stage.server.client() as client:
        assert client.pubsub_channels() == []
    store.close()


def test_every_listener_is_notified_through_one_connection(stage: Stage, watch: Watch) -> None:
    others: list[QueueKey | None] = []
    watch.watching.watch(others.append)
    watch.notified_of_insert("one")
    assert others[-1:] == [QUEUE]
    with stage.server.client() as client:
        assert client.pubsub_numsub("render-trio:awaited")[0][1] == 1


class Closing(threading.Event):
    """Records for how long it is waited for; is set after three times."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if len(self.waits) == 3:
            self.set()
        return self.is_set()


class Unreachable:
    """A client of Redis, and its subscription, that can't be connected."""

    def __init__(self) -> None:
        self.attempts = 0

    @contextmanager
    def pubsub(self) -> Iterator[Unreachable]:
        yield self

    def subscribe(self, channel: str) -> None:
        self.attempts += 1
        assert self.attempts < 10
        raise redis.ConnectionError("refused")


def test_half_a_second_passes_between_two_attempts_to_subscribe() -> None:
    client = Unreachable()
    listening = notifications.RedisNotifications(client, "channel", lambda name: QUEUE)
    closing = Closing()
    listening._closing = closing
    listening._listen()
    assert (client.attempts, closing.waits) == (3, [0.5] * 3)
