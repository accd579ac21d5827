"""No task is leased before its previous lease ended: eight concurrent clients, two processes, a clock that jumps."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.stores.interface import SECOND
from tests.emulator.lease_log import Entry, conflicts
from tests.processes import queue

CLIENTS = 8
TASKS = 80
BASE = "/taskqueue/v1beta2/projects/p/taskqueues/exclusive/tasks"


@pytest.mark.parametrize(
    ("log", "count"),
    [
        ([Entry("t", 0, 10, 1), Entry("t", 10, 20, 2)], 0),
        ([Entry("t", 0, 10, 1), Entry("t", 9, 20, 2)], 1),
        ([Entry("t", 9, 20, 2), Entry("t", 0, 10, 1)], 1),
        ([Entry("t", 0, 10, 1), Entry("u", 5, 20, 2)], 0),
        ([Entry("t", 0, 10, 1), Entry("t", 5, 30, 1, renews=10), Entry("t", 20, 40, 2)], 1),
        ([Entry("t", 0, 10, 1), Entry("t", 5, 5, 1, renews=10), Entry("t", 6, 40, 2)], 0),
        ([Entry("t", 0, 10, 1), Entry("t", 12, 30, 1, renews=10)], 1),
        ([Entry("t", 0, 10, 1), Entry("t", 5, 30, 1, renews=9)], 1),
    ],
)
def test_the_checker_detects_conflicts(log: list[Entry], count: int) -> None:
    assert len(conflicts(log)) == count


class Client(threading.Thread):
    """A client that leases tasks, and then deletes, renews, releases or abandons them."""

    def __init__(self, address: str, number: int, left: threading.Semaphore, done: threading.Event) -> None:
        super().__init__()
        self.log: list[Entry] = []
        self.deleted: list[str] = []
        self.errors: list[Exception] = []
        self._number = number
        self._random = random.Random(number)
        self._left, self._done = left, done
        self._http = httpx.Client(base_url=address, trust_env=False, timeout=30)

    def run(self) -> None:
        try:
            with self._http:
                while not self._done.is_set():
                    seconds = self._random.choice((1, 2, 5))
                    query = {"numTasks": self._random.choice((1, 3)), "leaseSecs": seconds}
                    for item in self._http.post(f"{BASE}/lease", params=query).json().get("items", []):
                        end = int(item["leaseTimestamp"])
                        self.log.append(Entry(item["id"], end - seconds * SECOND, end, self._number))
                        self._process(item)
        except Exception as error:
            self.errors.append(error)
            self._done.set()

    def _process(self, item: dict[str, Any]) -> None:
        choice = self._random.random()
        if choice < 0.35:
            return  # abandoned: the lease expires
        if choice < 0.65:
            seconds = self._random.choice((0, 3))
            body = {"queueName": "exclusive", "leaseTimestamp": item["leaseTimestamp"]}
            reply = self._http.patch(f"{BASE}/{item['id']}", params={"newLeaseSeconds": seconds}, json=body)
            if reply.status_code == 200:
                end = int(reply.json()["leaseTimestamp"])
                before = int(item["leaseTimestamp"])
                self.log.append(Entry(item["id"], end - seconds * SECOND, end, self._number, renews=before))
            return
        if self._http.delete(f"{BASE}/{item['id']}").status_code == 204:
            self.deleted.append(item["id"])
            self._left.release()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_no_task_is_leased_before_its_previous_lease_ended(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'q.sqlite3'}" if kind == "sqlite" else request.getfixturevalue("redis_server").url
    with queue(url, 2, "--test-verbs") as running, httpx.Client(base_url=running.address, trust_env=False) as http:
        assert http.post("/admin/reset").status_code == 200
        for number in range(TASKS):
            assert http.post(BASE, json={"id": f"t{number}", "payloadBase64": "eA=="}).status_code == 200
        left, done = threading.Semaphore(0), threading.Event()
        clients = [Client(running.address, number, left, done) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        deleted = 0
        for _ in range(2000):
            deleted += left.acquire(timeout=0.02)
            if deleted == TASKS or done.is_set():
                break
            # Makes leases expire while others are still held, without waiting for real time to pass.
            http.post("/admin/clock", json={"advance": 0.4})
        done.set()
        for client in clients:
            client.join()
        http.post("/admin/reset")
    assert [client.errors for client in clients] == [[]] * CLIENTS
    log = [entry for client in clients for entry in client.log]
    assert conflicts(log) == []
    assert Counter(task for client in clients for task in client.deleted) == Counter(f"t{n}" for n in range(TASKS))
    assert len(log) > TASKS * 1.3  # leases did expire, and were renewed
