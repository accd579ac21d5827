"""How long /health takes while all workers render: its median, 99th percentile and slowest answer.

usage: scripts/bench health [--isolation thread|process|both] [--workers 2] [--seconds 20] [--view searching_cards]

The queue, the service and the one who asks are processes of their own; he asks 20 times a second over a fresh
connection each time, as an orchestrator does. How late his own sleeps end tells what the machine is worth: on a
busy one, nobody's answers come in time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

import httpx

from render_trio.queue.messages import encode_task
from render_trio.queue.producer import task_values
from tests.processes import Running, queue, start_service

TASKS = "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"
PAUSE = 0.05  # s between two questions
LIMIT_MS = 50


def measure(isolation: str, workers: int, seconds: float, view: str) -> tuple[list[float], list[float], float]:
    """Return the milliseconds of each answer and of each sleep's lateness, and the documents per second meanwhile."""
    with tempfile.TemporaryDirectory() as folder, queue(f"sqlite:///{folder}/queue") as running:
        service = start_service(
            running.address,
            Path(folder) / "log",
            RENDER_ISOLATION=isolation,
            RENDER_WORKERS=workers,
            DOCUMENT_STORE=folder,
            SHUTDOWN_SECONDS=60,
        )
        try:
            _feed(running, view, 400)
            while not _finished(service):
                time.sleep(0.1)
            before, begun = _finished(service), time.monotonic()
            times, late = [], []
            while time.monotonic() < begun + seconds:
                times.append(_ask(service))
                slept = time.perf_counter()
                time.sleep(PAUSE)
                late.append((time.perf_counter() - slept - PAUSE) * 1000)
            done = (_finished(service) - before) / (time.monotonic() - begun)
        finally:
            service.end()
    return times, late, done


def _ask(service: Running) -> float:
    """Return the milliseconds of one answer, with nothing of the client's own in them that takes time."""
    host, port = service.address.removeprefix("http://").split(":")
    connection = HTTPConnection(host, int(port), timeout=60)
    asked = time.perf_counter()
    connection.request("GET", "/health")
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - asked) * 1000
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"/health answered {answer.status}")
    return took


def _feed(running: Running, view: str, tasks: int) -> None:
    with httpx.Client(base_url=running.address, trust_env=False) as client:
        for number in range(tasks):
            payload = encode_task(task_values(view, {"copies": 10, "seed": str(number)})[1])
            body = {"id": f"{view}-{number}", "queueName": "render", "payloadBase64": payload, "tag": "task"}
            client.post(TASKS, json=body).raise_for_status()


def _finished(service: Running) -> int:
    workers = httpx.get(f"{service.address}/health", trust_env=False).json()["workers"]
    return sum(worker["finished"] for worker in workers)


def main() -> None:
    """Print a line for each kind of isolation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--isolation", choices=["thread", "process", "both"], default="both")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--view", default="searching_cards")
    arguments = parser.parse_args()
    for isolation in ("thread", "process") if arguments.isolation == "both" else (arguments.isolation,):
        times, late, done = measure(isolation, arguments.workers, arguments.seconds, arguments.view)
        p99, noise = (statistics.quantiles(values, n=100)[98] for values in (times, late))
        print(
            f"{isolation}, {arguments.workers} workers, {done:.1f} documents/s meanwhile: "
            f"median {statistics.median(times):.1f} ms, 99 % within {p99:.1f} ms, slowest {max(times):.1f} ms "
            f"of {len(times)} answers; {'within' if p99 <= LIMIT_MS else 'NOT within'} {LIMIT_MS} ms "
            f"(sleeps ended up to {noise:.1f} ms late)",
            flush=True,
        )


if __name__ == "__main__":
    main()
