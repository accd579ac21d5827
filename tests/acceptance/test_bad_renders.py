"""Renders that hang, crash and explode, in a real service: each costs its own attempts, and nobody else's."""

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


def test_what_always_crashes_its_renderer_ends_as_one_failure_while_the_others_flow(
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
            assert client.left() == []  # result first, deletion second: now both are done
        finally:
            service.end(signal.SIGKILL)
    lines = lines_of(tmp_path / "log")
    answered = [line for line in lines if line["event"] == "failure result delivered"]
    assert {(line["task"], line["attempt"]) for line in answered} == {(fault, RETRY_LIMIT) for fault in faults}
    assert all("render" in line["seconds"] for line in answered)  # type: ignore[operator]


def test_threads_that_hang_beyond_the_limit_end_the_service_and_free_its_tasks(stage: Stage, tmp_path: Path) -> None:
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
    assert sorted(leased) == ["hang-0", "hang-1", "hang-2"], "given back at once"
    (told,) = [line for line in lines_of(tmp_path / "log") if line["event"] == "the service can't recover"]
    assert "2 drawing threads hang; RENDER_ISOLATION=process could kill them" in str(told["reason"])
