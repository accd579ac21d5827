"""The response time of /health while all workers render: median, 99th percentile and maximum.

usage: scripts/bench health [--isolation thread|process|both] [--workers 2] [--seconds 20] [--view searching_cards]

The queue, the service and this client are separate processes. The client sends 20 requests per second, each on a new
connection, as an orchestrator does. It also measures how late its own sleeps end: on a busy machine they are late too,
and then the response times say little about the service.
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
PAUSE = 0.05  # s between two requests
LIMIT_MS = 50


def measure(isolation: str, workers: int, seconds: float, view: str) -> tuple[list[float], list[float], float]:
    """Return the response times and the lateness of the sleeps, both in ms, and the documents rendered per second."""
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
            _submit_tasks(running, view, 400)
            while not _finished(service):
                time.sleep(0.1)
            before, begun = _finished(service), time.monotonic()
            times, late = [], []
            while time.monotonic() < begun + seconds:
                times.append(_request(service))
                slept = time.perf_counter()
                time.sleep(PAUSE)
                late.append((time.perf_counter() - slept - PAUSE) * 1000)
            done = (_finished(service) - before) / (time.monotonic() - begun)
        finally:
            service.end()
    return times, late, done


def _request(service: Running) -> float:
    """Return the time of one request in ms, measured with a client that adds as little overhead as possible."""
    host, port = service.address.removeprefix("http://").split(":")
    connection = HTTPConnection(host, int(port), timeout=60)
    begun = time.perf_counter()
    connection.request("GET", "/health")
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - begun) * 1000
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"/health answered {answer.status}")
    return took


def _submit_tasks(running: Running, view: str, tasks: int) -> None:
    with httpx.Client(base_url=running.address, trust_env=False) as client:
        for number in range(tasks):
            payload = encode_task(task_values(view, {"copies": 10, "seed": str(number)})[1])
            body = {"id": f"{view}-{number}", "queueName": "render", "payloadBase64": payload, "tag": "task"}
            client.post(TASKS, json=body).raise_for_status()


def _finished(service: Running) -> int:
    workers = httpx.get(f"{service.address}/health", trust_env=False).json()["workers"]
    return sum(worker["finished"] for worker in workers)


def main() -> None:
    """Print a line for each isolation mode."""
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
            f"{isolation}, {arguments.workers} workers, {done:.1f} documents/s: "
            f"median {statistics.median(times):.1f} ms, 99 % within {p99:.1f} ms, slowest {max(times):.1f} ms "
            f"of {len(times)} responses; {'within' if p99 <= LIMIT_MS else 'NOT within'} {LIMIT_MS} ms "
            f"(sleeps ended up to {noise:.1f} ms late)",
            flush=True,
        )


if __name__ == "__main__":
    main()
