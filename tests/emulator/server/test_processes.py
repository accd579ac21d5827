"""Several processes on one port: restarted when they die, stopped together, never orphaned."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.processes import Running, queue

TASKS = "/taskqueue/v1beta2/projects/p/taskqueues/q/tasks"
PATIENCE = 20.0


def children(parent: int) -> set[int]:
    """Return the IDs of the child processes, according to the kernel."""
    lists = Path(f"/proc/{parent}/task").glob("*/children")  # one file per thread
    return {int(pid) for children in lists for pid in children.read_text().split()}


def is_running(pid: int) -> bool:
    try:
        return "Z" not in re.findall(r"State:\s(\S)", Path(f"/proc/{pid}/status").read_text())
    except FileNotFoundError:
        return False


def wait_until_ended(pids: set[int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, f"still running: {pids}"
        time.sleep(0.01)


@pytest.fixture(params=["sqlite", "redis"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    url = f"sqlite:///{tmp_path / 'q.sqlite3'}" if request.param == "sqlite" else ""
    with queue(url or request.getfixturevalue("redis_server").url, processes=2) as running:
        yield running


def insert(address: str, task_id: str) -> int:
    return httpx.post(f"{address}{TASKS}", json={"id": task_id, "payloadBase64": "eA=="}, trust_env=False).status_code


def test_a_killed_process_is_restarted_while_the_others_serve(running: Running) -> None:
    before = children(running.process.pid)
    assert len(before) == 2
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    name = f"t{time.time_ns()}"
    assert [insert(running.address, f"{name}-{number}") for number in range(5)] == [200] * 5
    deadline = time.monotonic() + PATIENCE
    while len(now := children(running.process.pid) - {killed}) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert now & before
    assert running.end() == 0
    wait_until_ended(now)


def test_no_child_outlives_a_killed_parent(running: Running) -> None:
    left = children(running.process.pid)
    running.end(signal.SIGKILL)
    wait_until_ended(left)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_processes_stop_on_a_signal_even_if_a_client_waits(tmp_path: Path, number: signal.Signals) -> None:
    with queue(f"sqlite:///{tmp_path / 'q.sqlite3'}", processes=2) as running, httpx.Client(trust_env=False) as client:
        pids = children(running.process.pid)
        request = client.build_request(
            "POST",
            f"{running.address}{TASKS}/lease?numTasks=1&leaseSecs=1",
            headers={"Prefer": "wait=60"},
            timeout=PATIENCE,
        )
        # The lease waits in one of the children. That must not delay the shutdown.
        timer = threading.Timer(0.2, running.process.send_signal, [number])
        timer.start()
        with pytest.raises(httpx.RemoteProtocolError):
            client.send(request)
        assert running.process.wait(PATIENCE) == 0
        wait_until_ended(pids)


def test_a_store_that_cannot_be_opened_prevents_startup(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with (
        pytest.raises(AssertionError, match="did not start"),
        queue(f"sqlite:///{tmp_path / 'file' / 'q.sqlite3'}", processes=2),
    ):
        pass
