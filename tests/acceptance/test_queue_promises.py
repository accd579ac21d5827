"""What the queue has acknowledged it keeps, whoever is killed: the queue itself, or the Redis under it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from emulator.stores.interface import QueueKey
from emulator.stores.opening import open_store
from tests.processes import queue
from tests.redis_server import RedisServer

# The long version is for whoever changes how a store writes: RENDER_TRIO_LONG_TESTS=1.
INSERTS = 10_000 if os.environ.get("RENDER_TRIO_LONG_TESTS") == "1" else 1_500
CLIENTS = 4
TASKS = "/taskqueue/v1beta2/projects/p/taskqueues/kept/tasks"
KEY = QueueKey("p", "kept")
PATIENCE = 120.0


class Inserter(threading.Thread):
    """Inserts one task after the other and keeps the ids that got a 200. Goes on after a 503 as it is told to."""

    def __init__(self, address: str, number: int, goes_on: bool) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self.statuses: set[int] = set()
        self.errors: list[str] = []
        self._address, self._number, self._goes_on = address, number, goes_on

    def run(self) -> None:
        with httpx.Client(base_url=self._address, trust_env=False, timeout=60) as http:
            for count in range(INSERTS // CLIENTS):
                body = {"id": f"t-{self._number}-{count}", "payloadBase64": "eA=="}
                try:
                    reply = http.post(TASKS, json=body)
                    while reply.status_code == 503 and self._goes_on:
                        self._note(reply)
                        time.sleep(float(reply.headers["Retry-After"]))
                        reply = http.post(TASKS, json=body)
                except httpx.TransportError as error:
                    if self._goes_on:
                        self.errors.append(repr(error))
                    return
                self._note(reply)
                # 409: it got in, only its answer was lost.
                if reply.status_code == 200 or (reply.status_code == 409 and 503 in self.statuses):
                    self.acknowledged.append(body["id"])

    def _note(self, reply: httpx.Response) -> None:
        self.statuses.add(reply.status_code)
        if reply.status_code not in (200, 409, 503):
            self.errors.append(reply.text)


def insert_and_then(address: str, act: Callable[[], None], goes_on: bool = False) -> list[Inserter]:
    """Let clients insert, do something in the middle of it, and return them at their end."""
    inserters = [Inserter(address, number, goes_on) for number in range(CLIENTS)]
    for inserter in inserters:
        inserter.start()
    deadline = time.monotonic() + PATIENCE
    while sum(len(inserter.acknowledged) for inserter in inserters) < INSERTS // 3:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    act()
    for inserter in inserters:
        inserter.join()
    assert [inserter.errors for inserter in inserters] == [[]] * CLIENTS
    return inserters


def kept(address: str) -> set[str]:
    """Return the tasks that a queue has, by leasing them all."""
    ids: set[str] = set()
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as http:
        query = {"numTasks": 1000, "leaseSecs": 600}
        while items := http.post(f"{TASKS}/lease", params=query).json().get("items"):
            ids |= {item["id"] for item in items}
    return ids


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_queue_killed_amid_inserts_has_all_that_it_acknowledged(kind: str, tmp_path: Path) -> None:
    server = RedisServer(tmp_path, durable=True)
    if kind == "redis":
        server.start()
    url = server.url if kind == "redis" else f"sqlite:///{tmp_path / 'q.sqlite3'}"
    try:
        with queue(url) as running:
            inserters = insert_and_then(running.address, lambda: os.kill(running.process.pid, signal.SIGKILL))
        if kind == "redis":
            server.stop(kill=True)
            server.start()
        acknowledged = {task_id for inserter in inserters for task_id in inserter.acknowledged}
        assert INSERTS // 3 <= len(acknowledged) < INSERTS
        with queue(url) as again:
            assert acknowledged <= kept(again.address)
    finally:
        server.stop()


def test_a_redis_restarted_under_load_loses_nothing_and_clients_go_on(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, durable=True)
    server.start()

    def restart() -> None:
        server.stop(kill=True)
        with httpx.Client(base_url=running.address, trust_env=False) as http:
            told = http.post(f"{TASKS}/lease?numTasks=1&leaseSecs=1")
            assert (told.status_code, told.headers["Retry-After"]) == (503, "1")
            assert told.json()["error"]["errors"][0]["reason"] == "backendError"
        server.start()

    try:
        with queue(server.url, 2) as running:
            inserters = insert_and_then(running.address, restart, goes_on=True)
            assert all(inserter.statuses <= {200, 409, 503} for inserter in inserters)
            assert {503} <= set().union(*(inserter.statuses for inserter in inserters))
            everything = {f"t-{number}-{count}" for number in range(CLIENTS) for count in range(INSERTS // CLIENTS)}
            assert {task_id for inserter in inserters for task_id in inserter.acknowledged} == everything
            assert kept(running.address) == everything
        store = open_store(server.url)
        assert store.stats(KEY).total == len(everything)
        store.close()
    finally:
        server.stop()
