"""A flood: visitors submit tasks and draw documents as fast as they can, while a producer inserts tasks."""

from __future__ import annotations

import itertools
import json
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import trio

from render_trio.queue.messages import decode_result, encode_task
from render_trio.queue.producer import task_values

TASKS = "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"
FORM_HEADERS = {"Content-Type": "application/json"}


def client_of(address: str, source: str = "127.0.0.1") -> httpx.AsyncClient:
    """Return a client whose requests come from the address `source`. It loads no certificates, which takes long."""
    transport = httpx.AsyncHTTPTransport(verify=False, local_address=source)
    return httpx.AsyncClient(base_url=address, transport=transport, trust_env=False, timeout=60)


@dataclass
class Flood:
    """What happened: when producers' tasks were inserted and ended, and how visitors were answered."""

    service: str
    queue: str
    inserted: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    health_ms: list[float] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def waits_ms(self) -> list[float]:
        """The time from the insertion of each producer's task to its result, in ms."""
        return [(self.ended[name] - self.inserted[name]) * 1000 for name in self.ended]

    async def submit(self, thread: int, reply_tag: bool) -> None:
        """Submit unique tasks, as one of the threads of an attack, from an address of its own, and look at the last.

        `reply_tag`: give each a tag of its own, which 0.1.0 accepts.
        """
        last = "/"
        async with client_of(self.service, f"127.0.0.{thread + 2}") as client:
            while True:
                number = next(self.numbers)
                task = {"kind": "task#render", **task_values("binary_cards", {"header_text": f"flood {number}"})[1]}
                if reply_tag:
                    task["reply_tag"] = f"flood-{number}"
                response = await client.post("/tasks", content=json.dumps(task), headers=FORM_HEADERS)
                self._count(response.status_code)
                if response.status_code == 202:
                    last = response.headers["Location"]
                else:
                    await trio.sleep(0.05)
                await client.get(last)

    async def draw(self, visitor: int) -> None:
        """Request previews and documents on demand, as one visitor."""
        async with client_of(self.service) as client:
            for number in itertools.count():
                query = {"header_text": f"visitor {visitor} {number}"}
                response = await client.get("/resources/binary-cards.pdf", params=query)
                self._count(response.status_code)
                await trio.sleep(0.5)

    async def produce(self, interval: float) -> None:
        """Insert a task of a producer every `interval` s."""
        async with client_of(self.queue) as client:
            for number in itertools.count():
                name = f"producer-{number}"
                payload = encode_task(task_values("grid", {"header_text": name})[1])
                body = {"id": name, "queueName": "render", "payloadBase64": payload, "tag": "task"}
                (await client.post(TASKS, json=body)).raise_for_status()
                self.inserted[name] = time.monotonic()
                await trio.sleep(interval)

    async def fetch(self) -> None:
        """Take the results of producers from the queue."""
        query = {"numTasks": "100", "leaseSecs": "60", "groupByTag": "true", "tag": "result"}
        async with client_of(self.queue) as client:
            while True:
                answer = await client.post(f"{TASKS}/lease", params=query, headers={"Prefer": "wait=5"})
                for item in answer.json().get("items", []):
                    self.ended[decode_result(item["payloadBase64"]).task_id] = time.monotonic()
                    await client.delete(f"{TASKS}/{item['id']}")

    async def watch_health(self) -> None:
        """Request /health on a new connection each time."""
        while True:
            begun = time.perf_counter()
            async with client_of(self.service) as client:
                response = await client.get("/health")
            self.health_ms.append((time.perf_counter() - begun) * 1000)
            self._count(response.status_code)
            await trio.sleep(0.05)

    def _count(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1


@asynccontextmanager
async def flooding(
    service: str, queue: str, *, threads: int, visitors: int, interval: float, reply_tag: bool = False
) -> AsyncIterator[Flood]:
    """Flood the service until the block is left, then wait for the producer's results."""
    flood = Flood(service, queue)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood.fetch)
        async with trio.open_nursery() as attack:
            for thread in range(threads):
                attack.start_soon(flood.submit, thread, reply_tag)
            for visitor in range(visitors):
                attack.start_soon(flood.draw, visitor)
            attack.start_soon(flood.produce, interval)
            attack.start_soon(flood.watch_health)
            yield flood
            attack.cancel_scope.cancel()
        with trio.move_on_after(60):
            while set(flood.ended) < set(flood.inserted):  # noqa: ASYNC110 - real time
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()


def size_of(*folders: Path) -> int:
    """Return the bytes of all files in the folders."""
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def percentile(values: list[float], percent: int) -> float:
    """Return a percentile of at least two values."""
    return statistics.quantiles(values, n=100)[percent - 1]
