"""If a reply from Redis is lost, the caller gets StoreUnavailableError, and the script has run once."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator

import pytest
import redis

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, Store, StoreUnavailableError, TaskUnknownError
from emulator.stores.opening import open_store
from emulator.stores.redis import calls
from tests.cutting_proxy import CuttingProxy
from tests.redis_faults import until
from tests.redis_server import RedisServer


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(redis_server.port)
    yield proxy
    proxy.close()


VERBS: dict[str, Callable[[Store, QueueKey], object]] = {
    "insert": lambda store, queue: store.insert(queue, NewTask("new", "eA==")),
    "lease": lambda store, queue: store.lease(queue, LeaseOrder(1, 60)),
    "renew": lambda store, queue: store.renew(queue, "held", None, 90),
    "release": lambda store, queue: store.release(queue, "held"),
    "delete": lambda store, queue: store.delete(queue, "held"),
    "purge": lambda store, queue: store.purge(queue),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_script_runs_once_if_its_reply_is_lost(
    verb: str, proxy: CuttingProxy, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "MAX_INLINE_SECONDS", 60.0)  # however busy the machine is
    queue = QueueKey("project", f"q-{uuid.uuid4().hex}")
    direct, store = open_store(redis_server.url), open_store(f"redis://127.0.0.1:{proxy.port}/0")
    direct.insert(queue, NewTask("held", "eA=="))
    direct.lease(queue, LeaseOrder(1, 60))
    direct.insert(queue, NewTask("due", "eA=="))
    store.insert(queue, NewTask("due-too", "eA=="))
    with contextlib.suppress(TaskUnknownError):  # loads the script, so that only its own reply can be lost
        VERBS[verb](direct, QueueKey("project", f"{queue.name}-other"))
    # Until it has connected for the event loop too, and verified the data again.
    until(lambda: store.stats(queue) and store.runs_inline)
    with redis.Redis(port=redis_server.port, decode_responses=True) as client:
        client.config_resetstat()
        proxy.lose_next_reply()
        with pytest.raises(StoreUnavailableError):
            VERBS[verb](store, queue)
        assert proxy.lost.is_set()
        counted = client.info("commandstats")["cmdstat_evalsha"]
        assert (counted["calls"], counted["failed_calls"]) == (1, 0)
    assert store.check().problem is None  # the store is usable again
    store.close()
    tasks = {task.id: task.retry_count for task in direct.peek(queue, 10)}
    direct.reset()
    direct.close()
    assert (
        tasks
        == {
            "insert": {"held": 1, "due": 0, "due-too": 0, "new": 0},
            "lease": {"held": 1, "due": 1, "due-too": 0},
            "renew": {"held": 1, "due": 0, "due-too": 0},
            "release": {"held": 1, "due": 0, "due-too": 0},
            "delete": {"due": 0, "due-too": 0},
            "purge": {},
        }[verb]
    )
