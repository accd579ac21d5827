"""A Redis that hangs under traffic: the event loop keeps answering, and what was sent is not sent again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.emulator.server.running import TASKS
from tests.processes import Running, start_queue
from tests.redis_faults import until
from tests.redis_server import RedisServer

CLIENTS = 4
PROBES = 20
LEASE = f"{TASKS}/lease?numTasks=100&leaseSecs=60"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path).running() as server:
        yield server


@pytest.fixture
def running(server: RedisServer, tmp_path: Path) -> Iterator[Running]:
    running = start_queue(server.url, log=tmp_path / "queue.log")
    yield running
    assert running.end() == 0
    assert "Traceback" not in (tmp_path / "queue.log").read_text()


def insert(address: str, name: str) -> httpx.Response:
    task = {"id": name, "payloadBase64": "eA=="}
    return httpx.post(f"{address}{TASKS}", json=task, trust_env=False, timeout=60)


def live(address: str) -> bool:
    return httpx.get(f"{address}/livez", trust_env=False, timeout=60).status_code == 200


class Traffic:
    """Clients that insert tasks one after another until told to stop."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._insert, args=(number,)) for number in range(CLIENTS)]
        self.accepted: list[str] = []
        self.others: list[int] = []
        for thread in self._threads:
            thread.start()

    def _insert(self, client: int) -> None:
        number = 0
        while not self._stopping.is_set():
            name = f"t-{client}-{number}"
            number += 1
            status = insert(self._address, name).status_code
            if status == 200:
                self.accepted.append(name)
            else:
                self.others.append(status)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def leased(address: str) -> list[str]:
    names: list[str] = []
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
        while items := client.post(LEASE).json().get("items"):
            names += [item["id"] for item in items]
    return names


def test_the_queue_answers_while_redis_hangs_under_traffic(server: RedisServer, running: Running) -> None:
    traffic = Traffic(running.address)
    until(lambda: len(traffic.accepted) > 100)
    for _ in range(3):
        with server.frozen():
            before = len(traffic.accepted)
            for _ in range(PROBES):
                assert live(running.address)
            # Had the event loop waited for Redis, it would have answered only after the failure of a call.
            assert traffic.others == []
        until(lambda before=before: len(traffic.accepted) > before + CLIENTS)
    traffic.stop()
    assert traffic.others == []
    assert sorted(leased(running.address)) == sorted(traffic.accepted)


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_call_that_was_sent_before_redis_hung_gets_its_reply(
    ahead: int, server: RedisServer, running: Running
) -> None:
    """Each operation has its effect once, although its reply arrives late."""
    address = running.address
    for number in range(20):  # from the third or so, calls run on the event loop
        assert insert(address, f"before-{number}").status_code == 200
    with ThreadPoolExecutor() as pool:
        with server.frozen():
            inserting = pool.submit(insert, address, "late")
            leasing = pool.submit(leased, address) if ahead else None
            for _ in range(PROBES):
                assert live(address)
            assert not inserting.done()
        assert inserting.result().status_code == 200
        names = leasing.result() if leasing else []
    assert insert(address, "late").status_code == 409
    names += leased(address)
    assert sorted(names) == sorted([*(f"before-{number}" for number in range(20)), "late"])
