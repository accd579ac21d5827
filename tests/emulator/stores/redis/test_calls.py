"""When calls run on the event loop, what a failed call leaves behind, and that a closed store leaves no connection."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from emulator.stores.interface import QueueKey, StoreBusyError, StoreFullError, StoreUnavailableError
from emulator.stores.opening import open_store
from emulator.stores.redis import calls
from emulator.stores.redis import connection as redis_connection
from emulator.stores.redis.calls import RedisCalls
from emulator.stores.redis.inline import InlineConnection
from tests.redis_faults import until
from tests.redis_server import RedisServer

QUEUE = QueueKey("project", "calls")
FAST, SLOW = calls.MAX_INLINE_SECONDS / 5, calls.MAX_INLINE_SECONDS * 5


class FakeRedis:
    """A client whose scripts take as long, or fail, as requested; on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.seconds = 100.0, FAST
        self.error: redis.RedisError | None = None
        self.drops = 0
        self.sha = "of every script"
        self.connection_pool = SimpleNamespace(connects=0, drop=self.drop)
        self.inline: Any = SimpleNamespace(
            ready=True, on_event_loop=False, pool=self.connection_pool, resumed=lambda *_: None, connect=self.connect
        )
        self.inline_connects = 0
        self.called: list[tuple[object, object]] = []
        self.calls = RedisCalls(self, self.inline)
        self.calls.note_verified()
        monkeypatch.setattr(calls, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def register_script(self, _: str) -> Any:
        return self

    def __call__(self, keys: object, args: object) -> str:
        self.called.append((keys, args))
        self.now += self.seconds
        if self.error is not None:
            raise self.error
        return "reply"

    def connect(self) -> None:
        self.inline_connects += 1

    def drop(self) -> None:
        self.drops += 1

    def run(self, seconds: float = FAST, times: int = 1) -> None:
        self.seconds = seconds
        for _ in range(times):
            assert self.calls.run("get", ["key"], ["argument"]) == "reply"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRedis:
    return FakeRedis(monkeypatch)


def test_calls_run_on_the_event_loop_after_the_first_fast_one(fake: FakeRedis) -> None:
    assert not fake.calls.runs_inline
    fake.run(SLOW)
    assert not fake.calls.runs_inline
    assert fake.inline_connects == 0
    fake.run(FAST)
    assert fake.calls.runs_inline
    assert fake.inline_connects == 1
    assert fake.called == [(["key"], ["argument"])] * 2


def test_a_few_slow_calls_do_not_matter_and_many_do(fake: FakeRedis) -> None:
    fake.run(FAST)
    fake.run(SLOW, times=5)
    assert fake.calls.runs_inline
    fake.run(SLOW, times=10)
    assert not fake.calls.runs_inline
    fake.run(FAST)
    assert fake.calls.runs_inline


def test_calls_run_in_threads_while_the_inline_connection_is_missing_or_the_data_not_verified(fake: FakeRedis) -> None:
    fake.run(FAST)
    fake.inline.ready = False
    assert not fake.calls.runs_inline
    fake.inline.ready = True
    fake.connection_pool.connects += 1  # connected again
    assert not fake.calls.verified
    assert not fake.calls.runs_inline
    fake.calls.note_verified()
    assert fake.calls.verified
    assert fake.calls.runs_inline
    fake.calls.inline = None
    assert not fake.calls.runs_inline


def test_after_a_failure_calls_run_in_threads(fake: FakeRedis) -> None:
    fake.run(FAST)
    fake.error = redis.ConnectionError("lost")
    with pytest.raises(StoreUnavailableError):
        fake.run()
    assert not fake.calls.runs_inline


@pytest.mark.parametrize(
    ("error", "dropped", "hangs"),
    [
        (redis.ConnectionError("lost"), True, False),
        (redis.TimeoutError("timeout"), True, True),
        (redis.exceptions.ReadOnlyError("replica"), True, False),
        (redis.exceptions.OutOfMemoryError("OOM"), False, False),
        (redis.ResponseError("ERR"), False, False),
    ],
)
def test_a_failure_replaces_connections_that_may_be_useless(
    fake: FakeRedis, error: redis.RedisError, dropped: bool, hangs: bool
) -> None:
    fake.error = error
    with pytest.raises(StoreUnavailableError):
        fake.run()
    assert bool(fake.drops) is dropped
    calls_before = len(fake.called)
    with fake.calls._attempt, pytest.raises(StoreUnavailableError):  # another thread tries
        fake.run()
    assert (len(fake.called) == calls_before) is hangs
    fake.error = None
    fake.run()
    assert not fake.calls._attempt.locked()
    with fake.calls._attempt:  # which matters only while Redis hangs
        fake.run()


def test_an_attempt_that_fails_leaves_the_next_one_to_another_thread(fake: FakeRedis) -> None:
    fake.error = redis.TimeoutError("timeout")
    for _ in range(3):
        with pytest.raises(StoreUnavailableError, match="did not reply in time"):
            fake.run()
    assert len(fake.called) == 3


def test_a_script_runs_twice_only_if_a_replica_has_refused_it(fake: FakeRedis) -> None:
    fake.error = redis.exceptions.ReadOnlyError("replica")
    with pytest.raises(StoreUnavailableError, match="read-only replica"):
        fake.run()
    assert fake.called == [(["key"], ["argument"])] * 2
    fake.called.clear()
    for error in (redis.ConnectionError("lost"), redis.TimeoutError("late"), redis.exceptions.OutOfMemoryError("OOM")):
        fake.error = error
        with pytest.raises(StoreUnavailableError) as failure:
            fake.run()
        assert isinstance(failure.value, StoreFullError) == isinstance(error, redis.exceptions.OutOfMemoryError)
    assert len(fake.called) == 3


@pytest.mark.parametrize("verb", calls.ONLY_IN_THREADS)
def test_a_part_of_a_longer_operation_runs_in_a_thread(fake: FakeRedis, verb: str) -> None:
    fake.inline.on_event_loop = True
    with pytest.raises(StoreBusyError, match="in a thread"):
        fake.calls.run(verb, [], [])
    with pytest.raises(StoreBusyError, match="in a thread"), fake.calls.reached():
        raise AssertionError("the event loop must not wait")
    assert fake.called == []


@pytest.mark.parametrize(
    ("error", "dropped"),
    [(redis.exceptions.ReadOnlyError("replica"), True), (redis.exceptions.NoScriptError("unknown"), False)],
)
def test_a_refusal_on_the_event_loop_is_repeated_in_a_thread_and_no_connection_to_a_replica_is_kept(
    fake: FakeRedis, error: redis.RedisError, dropped: bool
) -> None:
    def refuse(*_: object) -> None:
        raise error

    fake.inline.on_event_loop, fake.inline.run = True, refuse
    with pytest.raises(StoreBusyError, match="nothing was executed"):
        fake.calls.run("get", ["key"], ["argument"])
    assert bool(fake.drops) is dropped


def test_a_thread_does_not_wait_until_another_has_connected_the_event_loop(redis_server: RedisServer) -> None:
    inline = InlineConnection(redis_connection.connect(redis_server.url), 1.0)
    with inline._connecting:  # another thread connects
        thread = threading.Thread(target=inline.connect, daemon=True)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
    assert not inline.ready
    inline.connect()
    assert inline.ready
    inline.close()


def test_a_closed_store_leaves_no_connection_and_no_thread(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        before = {found["id"] for found in client.client_list()}
        threads = set(threading.enumerate())
        store = open_store(redis_server.url)
        store.watch(lambda _: None)
        store.declare(QUEUE)
        store.check()
        until(lambda: store.stats(QUEUE) and len(client.client_list()) >= len(before) + 3)
        store.close()
        until(lambda: {found["id"] for found in client.client_list()} == before)
    assert set(threading.enumerate()) <= threads
