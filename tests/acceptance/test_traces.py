"""The trace of a visitor's request, or of a producer's task, is in the worker's log and in the result."""

from __future__ import annotations

import base64
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from render_trio import Client
from render_trio.queue.identity import web_result_id
from render_trio.queue.producer import task_values
from tests.processes import Running, queue, start_service

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
OWN = "00-11112222333344445555666677778888-1111222233334444-00"
PUPIL = "Pupil-Canary"
TASKS = "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"


@pytest.fixture(scope="module", params=["json", "google"])
def log_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, log_format: str) -> Iterator[tuple[Running, Running, Path]]:
    folder = tmp_path_factory.mktemp("traces")
    with queue(f"sqlite:///{folder / 'queue.sqlite3'}") as running_queue:
        service = start_service(
            running_queue.address, folder / "log", RENDER_WORKERS=1, LOG_FORMAT=log_format, PROJECT_NAME="render"
        )
        yield running_queue, service, folder / "log"
        service.end(signal.SIGTERM)


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def of_trace(log: Path, trace: str, tasks: int = 1) -> list[dict[str, Any]]:
    """Return the lines of a trace once so many of its tasks are done: a task's line follows its result."""
    deadline = time.monotonic() + 30
    while True:
        found = [line for line in lines(log) if line.get("trace") == trace]
        if sum("pages" in line for line in found) >= tasks or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def wait_for(web: httpx.Client, address: str) -> None:
    deadline = time.monotonic() + 30
    while web.get(address).json()["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def result_of(queue_url: str, task_id: str) -> dict[str, Any]:
    found = httpx.get(f"{queue_url}{TASKS}/{task_id}", trust_env=False).raise_for_status().json()
    decoded: dict[str, Any] = json.loads(base64.b64decode(found["payloadBase64"]))
    return decoded


def test_a_visitor_s_trace_reaches_the_worker_and_the_result(
    running: tuple[Running, Running, Path], log_format: str
) -> None:
    running_queue, service, log = running
    event = "message" if log_format == "google" else "event"
    with httpx.Client(base_url=service.address, trust_env=False) as web:
        given = {"traceparent": PARENT, "X-Request-ID": "visit-1"}
        submitted = web.post("/resources/grid/tasks", data={"header_text": PUPIL}, headers=given)
        assert (submitted.status_code, submitted.headers["X-Request-ID"]) == (303, "visit-1")
        wait_for(web, submitted.headers["Location"])
        result = result_of(running_queue.address, web_result_id(submitted.headers["Location"].rpartition("/")[2]))
        assert result["traceparent"] == PARENT
    found = {line[event]: line for line in of_trace(log, TRACE)}
    assert found.keys() >= {"request", "task done"}
    assert found["request"]["request"] == "visit-1"
    assert PUPIL not in log.read_text()
    if log_format == "google":
        request = found["request"]
        assert (request["severity"], request["logging.googleapis.com/trace"]) == (
            "INFO",
            f"projects/render/traces/{TRACE}",
        )
        assert request["httpRequest"].items() >= {
            ("requestMethod", "POST"),
            ("requestUrl", "/resources/{slug}/tasks"),
            ("status", 303),
            ("remoteIp", "127.0.0.1"),
        }
        assert request["httpRequest"]["latency"].endswith("s")
        assert request["time"].endswith("Z")
        assert {"event", "level", "timestamp", "method"}.isdisjoint(request)


def test_a_visitor_without_a_trace_gets_one(running: tuple[Running, Running, Path]) -> None:
    _, service, log = running
    with httpx.Client(base_url=service.address, trust_env=False) as web:
        submitted = web.post("/resources/grid/tasks", data={"seed": "9"})
        wait_for(web, submitted.headers["Location"])
    assert len(of_trace(log, submitted.headers["X-Request-ID"])) == 2


def test_a_producer_s_own_traceparent_is_kept(running: tuple[Running, Running, Path]) -> None:
    running_queue, service, log = running
    task = {"kind": "task#render", **task_values("grid", {})[1], "traceparent": OWN}
    with httpx.Client(base_url=service.address, trust_env=False) as web:
        submitted = web.post("/tasks", json=task, headers={"traceparent": PARENT})
        wait_for(web, submitted.headers["Location"])
    result = result_of(running_queue.address, web_result_id(submitted.json()["id"]))
    assert result["traceparent"] == OWN
    with Client(running_queue.address) as client:
        task_id = client.submit_values({**task, "reply_tag": "traced"})
        received = next(client.results(tag="traced", wait=30))
        assert (received.task_id, received.success, received.warnings) == (task_id, True, ())
        received.acknowledge()
    assert len([line for line in of_trace(log, OWN[3:35], tasks=2) if "task" in line]) == 2
