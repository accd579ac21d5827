"""The queue as its callers and operators see it while its Redis has a fault: status, cause, health, exit, recovery."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import redis_faults
from tests.emulator.server.running import TASKS
from tests.processes import Running, start_queue
from tests.redis_faults import FAULTS, Stage, fail_over, failover, until

GRACE_SECONDS = 10  # of a container platform, after which it kills the process
LEASE = f"{TASKS}/lease?numTasks=1&leaseSecs=60"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with redis_faults.stage(tmp_path) as stage:
        yield stage


@pytest.fixture
def running(stage: Stage, tmp_path: Path) -> Iterator[Running]:
    running = start_queue(stage.address, log=tmp_path / "queue.log")
    yield running
    assert running.end() == 0
    assert "Traceback" not in (tmp_path / "queue.log").read_text()


@pytest.fixture
def client(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.address, trust_env=False, timeout=60) as client:
        yield client


def insert(client: httpx.Client, name: str) -> httpx.Response:
    return client.post(TASKS, json={"id": name, "payloadBase64": "eA=="})


@pytest.mark.parametrize("name", FAULTS)
def test_callers_and_health_get_the_cause_and_the_queue_recovers(name: str, stage: Stage, client: httpx.Client) -> None:
    fault, message = FAULTS[name]
    assert insert(client, "before").status_code == 200
    assert client.get("/health").json() == {"status": "ok"}
    with fault(stage):
        response = insert(client, "during")
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        assert redis_faults.matches(message, response.json()["error"]["message"])
        until(lambda: client.get("/health").status_code == 503)  # a result of the check is used for a second
        response = client.get("/health")
        assert response.status_code == 503
        assert redis_faults.matches(message, response.json()["error"]["message"])
        response = client.get("/readyz")
        if name == "full":  # tasks can be leased and deleted
            assert response.status_code == 200
            assert redis_faults.matches(message, response.json()["warnings"][0])
        else:
            assert response.status_code == 503
            assert redis_faults.matches(message, response.json()["error"]["message"])
        assert client.get("/livez").status_code == 200
    until(lambda: insert(client, "during").status_code in (200, 409))
    until(lambda: client.get("/health").status_code == 200)
    leased = [client.post(LEASE).json()["items"][0]["id"] for _ in range(2)]
    assert leased == ["before", "during"]


@pytest.mark.parametrize("name", FAULTS)
def test_a_queue_that_waits_for_tasks_exits_in_order_during_a_fault(
    name: str, stage: Stage, running: Running, client: httpx.Client
) -> None:
    fault, _ = FAULTS[name]
    assert insert(client, "before").status_code == 200
    assert client.post(LEASE).json()["items"][0]["id"] == "before"
    waiting = threading.Thread(target=_wait_for_task, args=(running.address,))
    waiting.start()
    with stage.server.client() as redis:
        until(lambda: redis.hget("render-trio:{shop/print}:state", "awaited"))
    with fault(stage):
        assert running.end(seconds=GRACE_SECONDS) == 0
    waiting.join()


def _wait_for_task(address: str) -> None:
    try:
        httpx.post(f"{address}{LEASE}", headers={"Prefer": "wait=30"}, trust_env=False, timeout=60)
    except httpx.TransportError:
        return  # the queue has exited


def test_several_processes_exit_in_order_while_redis_hangs(stage: Stage, tmp_path: Path) -> None:
    running = start_queue(stage.address, "--processes", "2", log=tmp_path / "queue.log")
    with httpx.Client(base_url=running.address, trust_env=False, timeout=60) as client:
        assert insert(client, "before").status_code == 200
        with redis_faults.hanging(stage):
            assert insert(client, "during").status_code == 503
            assert running.end(seconds=GRACE_SECONDS) == 0
    assert "killed" not in (tmp_path / "queue.log").read_text()


def test_after_a_failover_the_first_insert_succeeds_and_waiting_leases_get_tasks(
    stage: Stage, running: Running, client: httpx.Client
) -> None:
    assert insert(client, "before").status_code == 200
    assert client.post(LEASE).json()["items"][0]["id"] == "before"
    results: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: results.append(_lease(running.address)))
    with failover(stage) as replica:
        fail_over(stage, replica)
        waiting.start()
        assert insert(client, "after").status_code == 200
        waiting.join()
        assert results[0].json()["items"][0]["id"] == "after"
        assert client.get("/health").status_code == 200
        assert running.end(seconds=GRACE_SECONDS) == 0


def _lease(address: str) -> httpx.Response:
    return httpx.post(f"{address}{LEASE}", headers={"Prefer": "wait=30"}, trust_env=False, timeout=60)


def test_a_queue_starts_without_its_redis_and_uses_it_later(tmp_path: Path) -> None:
    with redis_faults.stage(tmp_path) as stage:
        stage.server.stop(kill=True)
        running = start_queue(stage.address, log=tmp_path / "queue.log")
        with httpx.Client(base_url=running.address, trust_env=False, timeout=60) as client:
            assert "is unreachable" in client.get("/health").json()["error"]["message"]
            stage.server.start()
            until(lambda: insert(client, "one").status_code == 200)
        assert running.end() == 0
        assert "unavailable at startup: Redis is unreachable" in (tmp_path / "queue.log").read_text()
