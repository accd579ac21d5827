"""The version of the data in Redis: migration of 0.1.0 with a backup, refusal of a newer one, other programs' keys."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, StoreUnavailableError
from emulator.stores.opening import open_store
from emulator.stores.redis.layout import QUEUES_KEY, STORE_KEY, VERSION, StoreVersionError, queue_keys
from emulator.stores.redis.migration import LOCK_KEY, backup_keys
from tests.processes import environment
from tests.redis_server import RedisServer

QUEUE = QueueKey("shop", "print")
NOW = 1_700_000_000_000_000
FAR = 4_000_000_000_000_000
THREADS, NEW_QUEUES = 8, 100


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        yield client


def write_first_layout(client: redis.Redis, queue: QueueKey = QUEUE) -> None:
    """Write the keys as 0.1.0 did: a due task, a leased one, a dead letter, a tombstone; paused, no version."""
    state, eta, tagged, records, payloads, tombs, leased, dead, dead_records, dead_payloads = queue_keys(queue)
    client.sadd(QUEUES_KEY, f"{queue.project}/{queue.name}")
    client.hset(state, mapping={"offset": 0, "paused": 1})
    client.zadd(eta, {"due": NOW, "leased": FAR})
    client.zadd(tagged, {f"task\0{NOW:017}\0due": 0, f"\0{FAR:017}\0leased": 0})
    client.hset(records, mapping={"due": f"{NOW}|{NOW}|3|task", "leased": f"{FAR}|{NOW}|1|"})
    client.hset(payloads, mapping={"due": "ZHVl", "leased": "bGVhc2Vk"})
    client.zadd(tombs, {"gone": FAR})
    client.zadd(leased, {f"{NOW // 10**6}|2": NOW // 10**6})
    client.zadd(dead, {"dead": NOW})
    client.hset(dead_records, "dead", f"{NOW}|{NOW}|2|task")
    client.hset(dead_payloads, "dead", "ZGVhZA==")


def content(client: redis.Redis, keys: list[str]) -> dict[str, bytes | None]:
    """Return the serialised values of keys."""
    with redis.Redis(port=client.connection_pool.connection_kwargs["port"]) as raw:
        return {key: raw.dump(key) for key in keys}


def test_data_of_the_first_version_is_migrated_and_backed_up(client: redis.Redis, redis_server: RedisServer) -> None:
    write_first_layout(client)
    before = content(client, queue_keys(QUEUE))
    store = open_store(redis_server.url)
    assert client.hget(STORE_KEY, "version") == str(VERSION)
    assert [(task.id, task.tag, task.retry_count, task.eta_us) for task in store.peek(QUEUE, 10)] == [
        ("due", "task", 3, NOW),
        ("leased", None, 1, FAR),
    ]
    stats = store.stats(QUEUE)
    assert (stats.total, stats.dead, stats.paused) == (2, 1, True)
    store.renew(QUEUE, "leased", FAR, 60)
    store.resume(QUEUE)
    assert [task.payload for task in store.lease(QUEUE, LeaseOrder(5, 60, group_by_tag=True, tag="task"))] == ["ZHVl"]
    assert store.revive(QUEUE, "dead").payload == "ZGVhZA=="
    store.close()
    copies = dict(zip(queue_keys(QUEUE), backup_keys(QUEUE), strict=True))
    for kind in ("state", "eta", "tagged", "records", "dead", "dead-records"):
        key = f"render-trio:{{shop/print}}:{kind}"
        assert content(client, [copies[key]])[copies[key]] == before[key]
        assert 6 * 86_400 < int(client.ttl(copies[key])) <= 7 * 86_400
    assert not client.exists(LOCK_KEY)


def test_a_migration_happens_once(
    client: redis.Redis, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    write_first_layout(client)
    opening = [threading.Thread(target=lambda: open_store(redis_server.url).close()) for _ in range(8)]
    for thread in opening:
        thread.start()
    for thread in opening:
        thread.join()
    open_store(redis_server.url).close()
    assert caplog.text.count("migrating queue shop/print") == 1


def test_threads_that_use_a_new_queue_at_the_same_time_report_no_loss(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """All of them declare it; one creates it, and may be the last to notice."""
    store = open_store(redis_server.url)
    with ThreadPoolExecutor(THREADS) as pool:
        for number in range(NEW_QUEUES):
            queue, start = QueueKey("new", f"q-{number}"), threading.Barrier(THREADS)

            def insert(name: int, queue: QueueKey = queue, start: threading.Barrier = start) -> None:
                start.wait()
                store.insert(queue, NewTask(f"t-{name}", "eA=="))

            list(pool.map(insert, range(THREADS)))
            assert store.stats(queue).total == THREADS
    assert "lost all keys" not in caplog.text
    assert not any("lost keys" in warning for warning in store.check().warnings)
    store.close()


def test_while_another_process_migrates_requests_are_refused(client: redis.Redis, redis_server: RedisServer) -> None:
    write_first_layout(client)
    client.set(LOCK_KEY, "another process", ex=60)
    store = open_store(redis_server.url)
    with pytest.raises(StoreUnavailableError, match="another process is migrating"):
        store.get(QUEUE, "due")
    assert "another process is migrating" in (store.check().problem or "")
    assert "tasks" not in client.hgetall(queue_keys(QUEUE)[0])
    client.delete(LOCK_KEY)  # it has finished, or it was killed and the lock has expired
    assert store.get(QUEUE, "due").payload == "ZHVl"
    store.close()


def test_an_interrupted_migration_is_continued(
    client: redis.Redis, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    other = QueueKey("shop", "other")
    write_first_layout(client)
    open_store(redis_server.url).close()
    write_first_layout(client, other)
    client.delete(STORE_KEY)  # as if the process had been killed after the first queue
    store = open_store(redis_server.url)
    assert (store.stats(QUEUE).total, store.stats(other).total) == (2, 2)
    for name in ("shop/print", "shop/other"):
        assert caplog.text.count(f"migrating queue {name}") == 1
    store.close()


def test_data_of_the_first_version_can_be_migrated_when_memory_is_full(tmp_path: Path) -> None:
    with RedisServer(tmp_path).running() as server, server.client() as client:
        write_first_layout(client)
        client.config_set("maxmemory", 1)
        store = open_store(server.url)
        store.resume(QUEUE)
        (task,) = store.lease(QUEUE, LeaseOrder(5, 60))
        store.delete(QUEUE, task.id, task.eta_us)
        store.close()


def test_a_newer_version_is_refused_at_startup_in_one_line(client: redis.Redis, redis_server: RedisServer) -> None:
    client.hset(STORE_KEY, mapping={"version": VERSION + 1, "id": "x"})
    for options in ((), ("--processes", "2")):
        result = subprocess.run(
            [sys.executable, "-m", "emulator", "--port", "0", "--store", redis_server.url, *options],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert result.returncode == 1
        lines = [line for line in result.stderr.splitlines() if "queues are open" not in line]
        assert lines == [
            f"Error: the data in Redis has version 3 ({STORE_KEY}), this program supports 2; "
            "install the version of render-trio that wrote it, or use another database"
        ]
    assert set(client.scan_iter()) == {STORE_KEY}


def test_a_newer_version_is_noticed_by_a_running_process(redis_server: RedisServer, client: redis.Redis) -> None:
    store = open_store(redis_server.url)
    client.hset(STORE_KEY, "version", "10")
    assert "has version 10" in (store.check().problem or "")
    with pytest.raises(StoreVersionError):
        store.declare(QUEUE)
    client.hset(STORE_KEY, "version", str(VERSION))
    store.declare(QUEUE)
    store.close()


def test_keys_of_other_programs_are_never_changed(client: redis.Redis, redis_server: RedisServer) -> None:
    client.set("theirs", "1")
    client.set("render", "1")
    client.hset("render-triode:{a/b}:state", "x", "1")
    write_first_layout(client)
    theirs = ["theirs", "render", "render-triode:{a/b}:state"]
    before = content(client, theirs)
    store = open_store(redis_server.url)
    client.delete(QUEUES_KEY)
    assert store.queues() == [QUEUE]
    store.insert(QUEUE, NewTask("new", "eA=="))
    store.purge(QUEUE)
    store.reset()
    store.close()
    assert content(client, theirs) == before
    assert all(key in theirs or key.startswith("render-trio:") for key in client.scan_iter())
