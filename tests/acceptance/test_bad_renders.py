"""Renders that hang, crash or run out of memory in a real service: other tasks are not affected."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import httpx

from tests.acceptance.test_promises import Stage, payload, stage
from tests.processes import Running, queue, start_service

__all__ = ["stage"]

FAULTY = ("-m", "tests.faulty_service")
RETRY_LIMIT = 2


def lines_of(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def metric(service: Running, name: str) -> float:
    text = httpx.get(f"{service.address}/metrics", trust_env=False).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def test_a_task_that_always_crashes_gets_one_failure_result_and_delays_no_other_task(
    stage: Stage, tmp_path: Path
) -> None:
    faults = {"hang": "timed_out", "crash": "crashed", "fault": "crashed", "explode": "crashed"}
    good = [f"good-{number}" for number in range(40)]
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        client = stage.client(running)
        for fault in faults:
            client.insert(fault, payload("parity_cards", header_text=fault))
        for name in good:
            client.insert(name, payload("parity_cards"))
        service = start_service(
            running.address,
            tmp_path / "log",
            program=FAULTY,
            RENDER_ISOLATION="process",
            RENDER_WORKERS=3,
            RENDER_MEMORY_LIMIT="1 GiB",
            TASK_SECONDS=4,
            TASK_TIME_MULT=0,
            TASK_RETRY_LIMIT=RETRY_LIMIT,
        )
        try:
            results = client.take(len(good) + len(faults))
            by_task = {result.task_id: result for _, result in results}
            assert len(results) == len(by_task) == len(good) + len(faults)
            assert {name: by_task[name].error.code for name in faults} == faults
            assert all(by_task[name].success for name in good)
            assert metric(service, "render_killed_processes_total") == RETRY_LIMIT * len(faults)
            assert metric(service, "render_worker_restarts_total") == 0
            assert httpx.get(f"{service.address}/health", trust_env=False).status_code == 200
            assert service.end() == 0
            assert client.left() == []  # results are inserted before tasks are deleted; both must be done now
        finally:
            service.end(signal.SIGKILL)
    lines = lines_of(tmp_path / "log")
    answered = [line for line in lines if line["event"] == "failure result delivered"]
    assert {(line["task"], line["attempt"]) for line in answered} == {(fault, RETRY_LIMIT) for fault in faults}
    assert all("render" in line["seconds"] for line in answered)  # type: ignore[operator]


def test_too_many_hung_threads_exit_the_service_and_release_its_tasks(stage: Stage, tmp_path: Path) -> None:
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        client = stage.client(running)
        for number in range(3):
            client.insert(f"hang-{number}", payload("parity_cards", header_text="hang"))
        settings = {"RENDER_WORKERS": 1, "ABANDONED_LIMIT": 2, "TASK_SECONDS": 1, "TASK_TIME_MULT": 0}
        service = start_service(running.address, tmp_path / "log", program=FAULTY, **settings)
        try:
            assert service.process.wait(60) == 1
        finally:
            service.end(signal.SIGKILL)
        leased = client.lease_all()
    assert sorted(leased) == ["hang-0", "hang-1", "hang-2"], "the tasks must be free immediately"
    (failure,) = [line for line in lines_of(tmp_path / "log") if line["event"] == "unrecoverable failure"]
    assert "RENDER_ISOLATION=process" in str(failure["reason"])
