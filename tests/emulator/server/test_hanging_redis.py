"""A Redis that hangs under traffic: the event loop keeps answering, and what was sent is not sent again."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.emulator.server.running import TASKS
from tests.processes import Running, start_queue
from tests.redis_faults import until
from tests.redis_server import RedisServer

CLIENTS = 4
PROBES = 10
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


@contextmanager
def client_of(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address, trust_env=False, timeout=60) as client:
        yield client


def insert(client: httpx.Client, name: str) -> int:
    return client.post(TASKS, json={"id": name, "payloadBase64": "eA=="}).status_code


def probe(client: httpx.Client) -> None:
    """Check that the queue answers, several times: once can be before it processes the requests of others."""
    for _ in range(PROBES):
        assert client.get("/livez").status_code == 200


def leased(client: httpx.Client) -> list[str]:
    names: list[str] = []
    while items := client.post(LEASE).json().get("items"):
        names += [item["id"] for item in items]
    return names


class Traffic:
    """Clients that insert tasks one after another."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._stopping = threading.Event()
        self.accepted: list[str] = []
        self.others: list[int] = []

    def _insert(self, number: int) -> None:
        with client_of(self._running) as client:
            for task in itertools.count():
                if self._stopping.is_set():
                    return
                name = f"t-{number}-{task}"
                status = insert(client, name)
                if status == 200:
                    self.accepted.append(name)
                else:
                    self.others.append(status)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Insert tasks in the block."""
        threads = [threading.Thread(target=self._insert, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join()


def test_the_queue_answers_while_redis_hangs_under_traffic(server: RedisServer, running: Running) -> None:
    traffic = Traffic(running)
    with client_of(running) as client:
        with traffic.flowing():
            for _ in range(3):
                before = len(traffic.accepted)
                until(lambda before=before: len(traffic.accepted) > before + 50)
                with server.frozen():
                    probe(client)
                    # Had the event loop waited for Redis, it would have answered only after a call had failed.
                    assert traffic.others == []
        assert traffic.others == []
        assert sorted(leased(client)) == sorted(traffic.accepted)


@pytest.mark.parametrize("leasing", [False, True])
def test_a_call_that_was_sent_before_redis_hung_gets_its_reply(
    leasing: bool, server: RedisServer, running: Running
) -> None:
    """Each operation has its effect once, although its reply arrives late."""
    before = [f"before-{number}" for number in range(20)]  # from the third or so, calls run on the event loop
    with client_of(running) as client, ThreadPoolExecutor() as pool:
        assert {insert(client, name) for name in before} == {200}
        with server.frozen():
            late = [pool.submit(insert, client, "late")]
            names = [pool.submit(leased, client)] if leasing else []
            probe(client)
            assert not late[0].done()
        assert late[0].result() == 200
        found = [name for future in names for name in future.result()]
        assert insert(client, "late") == 409
        assert sorted([*found, *leased(client)]) == sorted([*before, "late"])
