"""Thousands of tasks in one service process: its memory, descriptors and threads over time.

usage: scripts/bench soak [--count 10000] [--isolation thread|process|both]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from render_trio.queue.messages import decode_result, encode_task
from render_trio.queue.producer import task_values
from resources.registry import CATALOGUE
from tests.processes import children_of, queue, start_service

TASKS = "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"
AHEAD = 60  # tasks on the queue at any time, so that the service is never idle
TAKEN_AT_ONCE = 20
WARM = 0.2  # of the tasks, before the first measurement of memory


@dataclass(frozen=True, slots=True)
class Sample:
    """The service after `done` tasks: resident bytes, descriptors, threads, child processes and their bytes."""

    done: int
    resident: int
    descriptors: int
    threads: int
    children: int
    children_resident: int


def sample(process: int, done: int) -> Sample:
    """Measure a process."""
    proc = Path(f"/proc/{process}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    children = children_of(process)
    return Sample(
        done,
        int(status["VmRSS"].split()[0]) * 1024,
        len(list((proc / "fd").iterdir())),
        int(status["Threads"]),
        len(children),
        sum(_resident(child) for child in children),
    )


def _resident(process: int) -> int:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it may have exited
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def payloads() -> Iterator[str]:
    """Yield tasks of every resource in turn, all different: each has its own header and seed."""
    for number, view in zip(itertools.count(), itertools.cycle(CATALOGUE), strict=False):
        options = {"header_text": f"Room {number}, whose name is {number * 7919:x}", "seed": f"soak-{number}"}
        paper = ("a4", "letter")[number // len(CATALOGUE) % 2]
        yield encode_task(task_values(view, options | {"paper_size": paper})[1])


def soak(
    isolation: str,
    count: int,
    every: int,
    folder: Path,
    on_sample: Callable[[Sample], None] = lambda sample: None,
    **settings: str | int,
) -> list[Sample]:
    """Run `count` tasks in one service process, and return a sample after every `every` tasks."""
    samples: list[Sample] = []
    source = enumerate(itertools.islice(payloads(), count))
    with queue(f"sqlite:///{folder / 'queue.sqlite3'}") as running:
        service = start_service(
            running.address,
            folder / "log",
            RENDER_ISOLATION=isolation,
            RENDER_WORKERS=2,
            LOG_LEVEL="warning",
            **settings,
        )
        try:
            with httpx.Client(base_url=running.address, trust_env=False, timeout=70) as http:
                for number, payload in itertools.islice(source, AHEAD):
                    _insert(http, number, payload)
                done = 0
                while done < count:
                    for _ in range(taken := _take(http)):
                        for number, payload in itertools.islice(source, 1):
                            _insert(http, number, payload)
                    if (done + taken) // every > done // every:
                        samples.append(sample(service.process.pid, done + taken))
                        on_sample(samples[-1])
                    done += taken
            code = service.end()
            if code:
                raise RuntimeError(f"the service exited with {code}: {(folder / 'log').read_text()[-2000:]}")
        finally:
            service.end(signal.SIGKILL)
    return samples


def _insert(http: httpx.Client, number: int, payload: str) -> None:
    body = {"id": f"soak-{number}", "queueName": "render", "payloadBase64": payload, "tag": "task"}
    http.post(TASKS, json=body).raise_for_status()


def _take(http: httpx.Client) -> int:
    query = {"numTasks": str(TAKEN_AT_ONCE), "leaseSecs": "60", "groupByTag": "true", "tag": "result"}
    items = http.post(f"{TASKS}/lease", params=query, headers={"Prefer": "wait=20"}).json().get("items", [])
    for item in items:
        result = decode_result(item["payloadBase64"])
        if result.kind == "result#document" and not result.success:
            raise RuntimeError(f"task {result.task_id} failed: {result}")
        http.delete(f"{TASKS}/{item['id']}").raise_for_status()
    return len(items)


def growth(samples: list[Sample], count: int) -> float:
    """Return the growth of memory from the warm-up to the end, as a fraction."""
    warm = next(sample for sample in samples if sample.done >= count * WARM)
    return samples[-1].resident / warm.resident - 1


def show(sample: Sample) -> None:
    """Print a sample as one line."""
    mib = 1024 * 1024
    print(
        f"{sample.done:6} tasks: {sample.resident / mib:.1f} MiB, {sample.descriptors} descriptors, "
        f"{sample.threads} threads; {sample.children} children of {sample.children_resident / mib:.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Print one line per sample, and the growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--isolation", choices=["thread", "process", "both"], default="both")
    arguments = parser.parse_args()
    for isolation in ("thread", "process") if arguments.isolation == "both" else (arguments.isolation,):
        with tempfile.TemporaryDirectory() as folder:
            samples = soak(isolation, arguments.count, max(1, arguments.count // 20), Path(folder), show)
        grown = growth(samples, arguments.count)
        print(f"{isolation}: memory grew by {grown:.1%} after the first {WARM:.0%} of the tasks")


if __name__ == "__main__":
    main()
