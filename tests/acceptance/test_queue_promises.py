"""The queue keeps every task that it has acknowledged, even if the queue or its Redis is killed."""

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

# Run the long version after changing how a store writes: LONG_TESTS=1.
INSERTS = 10_000 if os.environ.get("LONG_TESTS") == "1" else 1_500
CLIENTS = 4
TASKS = "/taskqueue/v1beta2/projects/p/taskqueues/kept/tasks"
KEY = QueueKey("p", "kept")
TIMEOUT_SECONDS = 120.0


class Inserter(threading.Thread):
    """Inserts tasks one by one and records the IDs acknowledged with 200.

    With `retries` it tries again after a 503, when Retry-After says.
    """

    def __init__(self, address: str, number: int, retries: bool) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self.statuses: set[int] = set()
        self.errors: list[str] = []
        self._address, self._number, self._retries = address, number, retries

    def run(self) -> None:
        with httpx.Client(base_url=self._address, trust_env=False, timeout=60) as http:
            for count in range(INSERTS // CLIENTS):
                body = {"id": f"t-{self._number}-{count}", "payloadBase64": "eA=="}
                try:
                    response = http.post(TASKS, json=body)
                    while response.status_code == 503 and self._retries:
                        self._note(response)
                        time.sleep(float(response.headers["Retry-After"]))
                        response = http.post(TASKS, json=body)
                except httpx.TransportError as error:
                    if self._retries:
                        self.errors.append(repr(error))
                    return
                self._note(response)
                # 409: the task was inserted, but the response was lost.
                if response.status_code == 200 or (response.status_code == 409 and 503 in self.statuses):
                    self.acknowledged.append(body["id"])

    def _note(self, response: httpx.Response) -> None:
        self.statuses.add(response.status_code)
        if response.status_code not in (200, 409, 503):
            self.errors.append(response.text)


def insert_and_then(address: str, act: Callable[[], None], retries: bool = False) -> list[Inserter]:
    """Start the inserters and call `act` once a third of the tasks are acknowledged; return the finished inserters."""
    inserters = [Inserter(address, number, retries) for number in range(CLIENTS)]
    for inserter in inserters:
        inserter.start()
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while sum(len(inserter.acknowledged) for inserter in inserters) < INSERTS // 3:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    act()
    for inserter in inserters:
        inserter.join()
    assert [inserter.errors for inserter in inserters] == [[]] * CLIENTS
    return inserters


def kept(address: str) -> set[str]:
    """Return the IDs of all tasks in the queue, by leasing them."""
    ids: set[str] = set()
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as http:
        query = {"numTasks": 1000, "leaseSecs": 600}
        while items := http.post(f"{TASKS}/lease", params=query).json().get("items"):
            ids |= {item["id"] for item in items}
    return ids


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_queue_killed_during_inserts_keeps_every_acknowledged_task(kind: str, tmp_path: Path) -> None:
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


def test_a_redis_restarted_under_load_loses_nothing_and_clients_recover(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, durable=True)
    server.start()

    def restart() -> None:
        server.stop(kill=True)
        with httpx.Client(base_url=running.address, trust_env=False) as http:
            response = http.post(f"{TASKS}/lease?numTasks=1&leaseSecs=1")
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
            assert response.json()["error"]["errors"][0]["reason"] == "backendError"
        server.start()

    try:
        with queue(server.url, 2) as running:
            inserters = insert_and_then(running.address, restart, retries=True)
            assert all(inserter.statuses <= {200, 409, 503} for inserter in inserters)
            assert {503} <= set().union(*(inserter.statuses for inserter in inserters))
            expected = {f"t-{number}-{count}" for number in range(CLIENTS) for count in range(INSERTS // CLIENTS)}
            assert {task_id for inserter in inserters for task_id in inserter.acknowledged} == expected
            assert kept(running.address) == expected
        store = open_store(server.url)
        assert store.stats(KEY).total == len(expected)
        store.close()
    finally:
        server.stop()
