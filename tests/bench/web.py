"""The web server under load: size of the start page, time to a preview, gallery requests per second on one core, and
many clients that request previews at once while tasks run and /health is polled.

usage: scripts/bench web [--seconds 10] [--clients 200] [--isolation process]
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

from render_trio.queue.client import AsyncClient
from resources.registry import CATALOGUE
from tests.processes import Running, queue, start_service

CONNECTIONS = 8  # that request the gallery
VIEWS = tuple(sorted(CATALOGUE))


class Client:
    """A minimal HTTP client: one connection, sequential requests, only the parsing that is needed here."""

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
async def connect(address: str) -> AsyncIterator[Client]:
    """Yield a client connected to the service."""
    parts = urlsplit(address)
    async with await trio.open_tcp_stream(str(parts.hostname), int(parts.port or 80)) as stream:
        yield Client(stream)


@dataclass
class Load:
    """Measurements under load: responses by status, times in ms, documents delivered by the queue."""

    responses: Counter[str] = field(default_factory=Counter)
    previews: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    documents: int = 0


def quantile(values: list[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def page_size(address: str) -> tuple[int, int]:
    """Return the bytes sent for the start page with its static files, and the same with all thumbnails."""
    async with connect(address) as client:
        _, _, page = await client.get("/")
        text = gzip.decompress(page).decode()
        page_bytes = len(page)
        for target in dict.fromkeys(re.findall(r'(?:src|href)="(/static/[^"]+)"', text)):
            page_bytes += len((await client.get(target))[2])
        thumbnails = [len((await client.get(target))[2]) for target in re.findall(r'"(/thumbnails/[^"]+)"', text)]
    return page_bytes, page_bytes + sum(thumbnails)


async def preview(client: Client, view: str, header: str) -> tuple[str, float]:
    """Request a preview as the page's script does, then the first image; return the outcome and the time in ms."""
    slug, begun = CATALOGUE[view].slug, time.perf_counter()
    status, headers, _ = await client.get(f"/resources/{slug}/preview?header_text={header}")
    if status == 200:
        status, headers, _ = await client.get(f"/resources/{slug}/pages/1.png?header_text={header}")
    outcome = str(status)
    if status in (429, 503):
        outcome = (
            f"{status} after {headers['retry-after']} s"
            if headers.get("retry-after", "").isdigit()
            else f"{status} without Retry-After"
        )
    return outcome, (time.perf_counter() - begun) * 1000


async def time_previews(address: str) -> dict[str, float]:
    """Return the time in ms to the first preview of each resource."""
    times = {}
    async with connect(address) as client:
        await preview(client, VIEWS[0], "warm")
        for view in VIEWS:
            tries = [await preview(client, view, f"{number}") for number in range(3)]
            assert {outcome for outcome, _ in tries} == {"200"}
            times[view] = statistics.median(spent for _, spent in tries)
    return times


async def read_gallery(address: str, seconds: float) -> float:
    """Return how many times per second the gallery is served from a warm cache."""
    count = 0

    async def read() -> None:
        nonlocal count
        while True:
            closes = False  # the service closes a connection after a number of requests
            async with connect(address) as client:
                while not closes:
                    status, headers, _ = await client.get("/", "text/html")
                    assert status == 200
                    closes = headers.get("connection") == "close"
                    count += 1

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for _ in range(CONNECTIONS):
                nursery.start_soon(read)
    return count / seconds


async def measure_load(address: str, queue_url: str, clients: int, seconds: float) -> Load:
    """Run this many clients, each requesting previews of its own and honouring Retry-After, for `seconds`."""
    seen = Load()

    async def request_previews(number: int) -> None:
        async with connect(address) as client:
            round_number = 0
            while True:
                round_number += 1
                view = VIEWS[(number + round_number) % len(VIEWS)]
                outcome, spent = await preview(client, view, f"{number}-{round_number}")
                seen.responses[outcome] += 1
                if outcome == "200":
                    seen.previews.append(spent)
                elif outcome[:9] in ("429 after", "503 after"):
                    await trio.sleep(int(outcome.split()[2]))

    async def poll_health() -> None:
        command = [sys.executable, "-m", "tests.bench.watch", address, str(seconds)]
        polled = await trio.run_process(command, capture_stdout=True)
        seen.health = [float(line) for line in polled.stdout.split()]
        nursery.cancel_scope.cancel()

    async def run_tasks() -> None:
        async with AsyncClient(queue_url, timeout=30) as client:
            results = client.results(wait=None)
            while True:
                await client.submit("parity_cards")
                await (await anext(results)).acknowledge()
                seen.documents += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll_health)
        nursery.start_soon(run_tasks)
        for number in range(clients):
            nursery.start_soon(request_previews, number)
    return seen


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has used, a better measure than wall time on a shared machine."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pin(process: int, core: int) -> None:
    """Restrict a process to one core."""
    os.sched_setaffinity(process, {core})


def measure(service: Running, queue_url: str, clients: int, seconds: float) -> None:
    """Print the measurements of a running service."""
    page_bytes, whole = trio.run(page_size, service.address)
    print(f"start page: {page_bytes / 1000:.1f} kB, with all thumbnails {whole / 1000:.1f} kB (target: under 100)")
    times = trio.run(time_previews, service.address)
    slowest = max(times, key=lambda view: times[view])
    print(f"preview: median {statistics.median(times.values()):.0f} ms, slowest {times[slowest]:.0f} ms ({slowest})")
    idle = trio.run(measure_load, service.address, queue_url, 0, seconds)
    print(f"no clients: {in_words(idle, seconds)}")
    loaded = trio.run(measure_load, service.address, queue_url, clients, seconds)
    print(f"{clients} clients: {in_words(loaded, seconds)}")
    cores = sorted(os.sched_getaffinity(0))
    pin(service.process.pid, cores[0])
    pin(0, cores[-1])
    begun = cpu_seconds(service.process.pid)
    rate = trio.run(read_gallery, service.address, seconds)
    used = cpu_seconds(service.process.pid) - begun
    print(
        f"gallery: {rate:.0f} requests/s on one core (target: 400); {rate * seconds / used:.0f} per second of CPU time"
    )


def in_words(load: Load, seconds: float) -> str:
    """Return the measurements as one line of text."""
    parts = [f"/health p50 {quantile(load.health, 0.5):.1f}, p99 {quantile(load.health, 0.99):.1f} ms"]
    parts.append(f"queue {load.documents / seconds:.1f} documents/s")
    if load.previews:
        parts.append(f"previews p50 {quantile(load.previews, 0.5):.0f}, p99 {quantile(load.previews, 0.99):.0f} ms")
    parts.append(f"responses {dict(sorted(load.responses.items()))}")
    return "; ".join(parts)


def main() -> None:
    """Start a queue and a service, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--isolation", choices=("thread", "process"), default="thread")
    arguments = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores; {arguments.isolation}")
    with tempfile.TemporaryDirectory() as folder, queue(f"sqlite:///{folder}/queue.sqlite3") as running_queue:
        log = Path(folder) / "log"
        service = start_service(running_queue.address, log, RENDER_ISOLATION=arguments.isolation)
        try:
            measure(service, running_queue.address, arguments.clients, arguments.seconds)
        finally:
            service.end()


if __name__ == "__main__":
    main()
