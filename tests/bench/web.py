"""The web side under many hands: weight of the first page, time to a preview, gallery requests a second on one core,
and a crowd that asks for previews at once while the queue's tasks go on and somebody watches /health.

usage: scripts/bench web [--seconds 10] [--crowd 200] [--isolation process]
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import trio

from render_trio.queue.producer import submit, take_results, task_values
from render_trio.queue.task_queue.client import TaskQueue
from resources.registry import CATALOGUE
from tests.processes import Running, queue, start_service

CONNECTIONS = 8  # of the gallery's readers
VIEWS = tuple(sorted(CATALOGUE))


class Line:
    """A lean HTTP client: one connection, one request after the other, no more parsing than it needs."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._rest = b""

    async def get(self, target: str, accept: str = "*/*") -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        head = f"GET {target} HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\nAccept-Encoding: gzip\r\n\r\n"
        await self._stream.send_all(head.encode())
        while b"\r\n\r\n" not in self._rest:
            self._rest += await self._more()
        top, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = top.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", "0"))
        while len(self._rest) < length:
            self._rest += await self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return int(first.split()[1]), headers, body

    async def _more(self) -> bytes:
        chunk = await self._stream.receive_some(2**16)
        if not chunk:
            raise ConnectionError("closed by the service")
        return bytes(chunk)


@asynccontextmanager
async def line_to(address: str) -> AsyncIterator[Line]:
    """Give a connection to the service."""
    parts = urlsplit(address)
    async with await trio.open_tcp_stream(str(parts.hostname), int(parts.port or 80)) as stream:
        yield Line(stream)


@dataclass
class Crowd:
    """What happened while the crowd asked: answers by status, times in ms, documents of the queue."""

    answers: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    documents: int = 0


def quantile(values: list[float], share: float) -> float:
    """Return the value below which this share of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def weigh(address: str) -> tuple[int, int]:
    """Return the bytes sent for the first page with its files, and with all thumbnails too."""
    async with line_to(address) as line:
        _, _, page = await line.get("/")
        text = gzip.decompress(page).decode()
        light = len(page)
        for target in dict.fromkeys(re.findall(r'(?:src|href)="(/static/[^"]+)"', text)):
            light += len((await line.get(target))[2])
        thumbnails = [len((await line.get(target))[2]) for target in re.findall(r'"(/thumbnails/[^"]+)"', text)]
    return light, light + sum(thumbnails)


async def preview(line: Line, view: str, header: str) -> tuple[str, float]:
    """Ask as the page's script does, then for the first picture; returns the outcome and the milliseconds."""
    slug, begun = CATALOGUE[view].slug, time.perf_counter()
    status, headers, _ = await line.get(f"/resources/{slug}/preview?header_text={header}")
    if status == 200:
        status, headers, _ = await line.get(f"/resources/{slug}/pages/1.png?header_text={header}")
    outcome = str(status)
    if status == 503:
        outcome = f"503 after {headers['retry-after']} s" if headers.get("retry-after", "").isdigit() else "503, bare"
    return outcome, (time.perf_counter() - begun) * 1000


async def time_previews(address: str) -> dict[str, float]:
    """Return the milliseconds to the preview of each resource, drawn for the first time."""
    times = {}
    async with line_to(address) as line:
        await preview(line, VIEWS[0], "warm")
        for view in VIEWS:
            tries = [await preview(line, view, f"{number}") for number in range(3)]
            assert {outcome for outcome, _ in tries} == {"200"}
            times[view] = statistics.median(spent for _, spent in tries)
    return times


async def read_gallery(address: str, seconds: float) -> float:
    """Return how many times a second the gallery is served, its cache warm."""
    count = 0

    async def read() -> None:
        nonlocal count
        while True:
            closes = False  # after so many requests the service asks for a new connection
            async with line_to(address) as line:
                while not closes:
                    status, headers, _ = await line.get("/", "text/html")
                    assert status == 200
                    closes = headers.get("connection") == "close"
                    count += 1

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for _ in range(CONNECTIONS):
                nursery.start_soon(read)
    return count / seconds


async def crowd_in(address: str, queue_url: str, people: int, seconds: float) -> Crowd:
    """Let so many people ask for previews of their own for so long, as often as they are let."""
    seen = Crowd()

    async def person(number: int) -> None:
        async with line_to(address) as line:
            turn = 0
            while True:
                turn += 1
                view = VIEWS[(number + turn) % len(VIEWS)]
                outcome, spent = await preview(line, view, f"{number}-{turn}")
                seen.answers[outcome] += 1
                if outcome == "200":
                    seen.waits.append(spent)
                elif outcome.startswith("503 after"):
                    await trio.sleep(int(outcome.split()[2]))

    async def watch() -> None:
        command = [sys.executable, "-m", "tests.bench.watch", address, str(seconds)]
        watched = await trio.run_process(command, capture_stdout=True)
        seen.health = [float(line) for line in watched.stdout.split()]
        nursery.cancel_scope.cancel()

    async def work() -> None:
        client = TaskQueue(queue_url, "render", "render", timeout=30)
        _, values = task_values("parity_cards", {})
        while True:
            await submit(client, values)
            seen.documents += len(await take_results(client, None, wait=20))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        nursery.start_soon(work)
        for number in range(people):
            nursery.start_soon(person, number)
    return seen


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has used: what tells on a machine that others use too."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pin(process: int, core: int) -> None:
    """Keep a process on one core, so that the figure is one core's."""
    os.sched_setaffinity(process, {core})


def measure(service: Running, queue_url: str, people: int, seconds: float) -> None:
    """Print the figures of a running service."""
    light, whole = trio.run(weigh, service.address)
    print(f"first page: {light / 1000:.1f} kB, with all thumbnails {whole / 1000:.1f} kB (target: under 100)")
    times = trio.run(time_previews, service.address)
    slowest = max(times, key=lambda view: times[view])
    print(f"preview: median {statistics.median(times.values()):.0f} ms, slowest {times[slowest]:.0f} ms ({slowest})")
    before = trio.run(crowd_in, service.address, queue_url, 0, seconds)
    print(f"nobody there: {told(before, seconds)}")
    crowd = trio.run(crowd_in, service.address, queue_url, people, seconds)
    print(f"{people} people: {told(crowd, seconds)}")
    cores = sorted(os.sched_getaffinity(0))
    pin(service.process.pid, cores[0])
    pin(0, cores[-1])
    begun = cpu_seconds(service.process.pid)
    rate = trio.run(read_gallery, service.address, seconds)
    used = cpu_seconds(service.process.pid) - begun
    print(f"gallery: {rate:.0f} requests/s on one core (target: 400); {rate * seconds / used:.0f} a second of its time")


def told(crowd: Crowd, seconds: float) -> str:
    """Return what happened, in words."""
    parts = [f"/health p50 {quantile(crowd.health, 0.5):.1f}, p99 {quantile(crowd.health, 0.99):.1f} ms"]
    parts.append(f"queue {crowd.documents / seconds:.1f} documents/s")
    if crowd.waits:
        parts.append(f"previews p50 {quantile(crowd.waits, 0.5):.0f}, p99 {quantile(crowd.waits, 0.99):.0f} ms")
    parts.append(f"answers {dict(sorted(crowd.answers.items()))}")
    return "; ".join(parts)


def main() -> None:
    """Start a queue and a service, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--crowd", type=int, default=200)
    parser.add_argument("--isolation", choices=("thread", "process"), default="thread")
    arguments = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores; {arguments.isolation}")
    with tempfile.TemporaryDirectory() as folder, queue(f"sqlite:///{folder}/queue.sqlite3") as running_queue:
        log = Path(folder) / "log"
        service = start_service(running_queue.address, log, RENDER_ISOLATION=arguments.isolation)
        try:
            measure(service, running_queue.address, arguments.crowd, arguments.seconds)
        finally:
            service.end()


if __name__ == "__main__":
    main()
