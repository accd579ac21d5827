"""Whatever fails, every task has exactly one result, with the same bytes as without failures.

A short run is part of the test suite. CHAOS=long selects a longer one (2,000 tasks and 20 faults per run), and
CHAOS_SEED=NUMBER its seed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from render_trio.queue.messages import LeasedTask, decode, decode_result, encode_task
from render_trio.queue.producer import task_values
from render_trio.rendering.pipeline import produce
from resources.registry import CATALOGUE
from tests.acceptance.chaos import EVERYWHERE, ONLY_WITH, World, schedule

LONG = os.environ.get("CHAOS") == "long"
SEED = int(os.environ.get("CHAOS_SEED", "1"))
COUNT, FAULTS, PATIENCE = (2000, 20, 1500.0) if LONG else (150, 6, 150.0)
TASKS = "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"
RESULT_LEASE = 5  # s; if a response is lost when the queue is killed, its results are free again after this time
LEASES_OVER = 30.0  # s after which every lease of the service has expired


def tasks_of(seed: int, count: int) -> dict[str, str]:
    """Return payloads by task ID: every resource, some tasks equal, every fifth without a seed."""
    views = list(CATALOGUE)
    payloads = {}
    for number in range(count):
        own = {} if number % 5 == 0 else {"seed": f"{seed}-{number % 40}"}
        options = {"header_text": f"Room {number % 40}", "paper_size": ("a4", "letter")[number % 2], **own}
        payloads[f"task-{number:04}"] = encode_task(task_values(views[number % len(views)], options)[1])
    return payloads


def calm_digests(payloads: dict[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each task's document, drawn without failures, by task ID."""
    known: dict[Any, str] = {}
    digests = {}
    for task_id, payload in payloads.items():
        request = decode(LeasedTask(task_id, payload, 0, 0, 0)).request
        if request not in known:
            known[request] = produce(request, lambda: None).sha256
        digests[task_id] = known[request]
    return digests


class Producer:
    """Inserts tasks and fetches results while the queue fails and recovers."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=address, trust_env=False, timeout=10)
        self.digests: dict[str, str] = {}
        self.failures: list[str] = []
        self.again: list[str] = []
        self._inserted: dict[str, str] = {}
        self._deleted: set[str] = set()

    def close(self) -> None:
        self._http.close()

    def _request(self, method: str, path: str, accepted: tuple[int, ...], **arguments: Any) -> httpx.Response | None:
        """Return the response; None if the queue is unreachable or the status is not accepted."""
        try:
            response = self._http.request(method, f"{TASKS}{path}", **arguments)
        except httpx.TransportError:
            return None
        return response if response.status_code in accepted else None

    def insert(self, task_id: str, payload: str) -> None:
        body = {"id": task_id, "queueName": "render", "payloadBase64": payload, "tag": "task"}
        while self._request("POST", "", (200, 409), json=body) is None:
            time.sleep(0.05)

    def take(self, documents: Path, wait: int = 1) -> int:
        """Fetch and delete some results; returns their number."""
        query = {"numTasks": "50", "leaseSecs": str(RESULT_LEASE), "groupByTag": "true", "tag": "result"}
        response = self._request("POST", "/lease", (200,), params=query, headers={"Prefer": f"wait={wait}"})
        if response is None:
            time.sleep(0.05)
            return 0
        items = response.json().get("items", [])
        for item in items:
            self._record(item, documents)
            while self._request("DELETE", f"/{item['id']}", (204, 404)) is None:
                time.sleep(0.05)
            self._deleted.add(item["id"])
        return len(items)

    def _record(self, item: dict[str, Any], documents: Path) -> None:
        """Record a result. An insertion may be leased again if its deletion was lost; a second one is an error."""
        name, inserted = item["id"], item["enqueueTimestamp"]
        if name in self._deleted or self._inserted.setdefault(name, inserted) != inserted:
            self.again.append(name)
        result = decode_result(item["payloadBase64"])
        if result.kind == "result#link":
            content = (documents / result.url.rsplit("/", 1)[1]).read_bytes()
        elif result.success:
            content = base64.b64decode(result.document or "")
        else:
            self.failures.append(f"{result.task_id}: {result.error}")
            content = b""
        self.digests[result.task_id] = hashlib.sha256(content).hexdigest()

    def left(self) -> int | None:
        """Return the number of tasks and results on the queue; None if it is unreachable."""
        response = self._request("GET", "", (200,))
        return None if response is None else len(response.json().get("items", []))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(("store", "isolation"), [("sqlite", "thread"), ("redis", "process")])
def test_every_task_has_exactly_one_result_with_the_same_bytes(
    store: str, isolation: str, stack: ExitStack, tmp_path: Path
) -> None:
    payloads = tasks_of(SEED, COUNT)
    calm = calm_digests(payloads)
    faults = schedule(SEED, COUNT, FAULTS, store, isolation)
    print(*faults, sep="\n")
    world = World(stack, tmp_path, store, isolation)
    producer = Producer(world.queue.address)
    stack.callback(producer.close)
    over = threading.Event()
    breaker = threading.Thread(target=world.break_things, args=(faults, lambda: len(producer.digests), over))
    breaker.start()
    stack.callback(breaker.join)
    stack.callback(over.set)
    begun = time.monotonic()
    deadline = begun + PATIENCE
    for task_id, payload in payloads.items():
        producer.insert(task_id, payload)
    while len(producer.digests) < COUNT and time.monotonic() < deadline:
        producer.take(world.documents)
    if len(producer.digests) < COUNT:
        over.set()  # the remaining faults would wait for results that no longer arrive
    breaker.join()
    print(f"{len(producer.digests)} results after {time.monotonic() - begun:.0f} s")
    # A task whose deletion was lost is leased again when its lease expires; it must not get a second result.
    while producer.left() != 0 and time.monotonic() < deadline + LEASES_OVER:
        producer.take(world.documents)
    assert world.struck == faults
    assert world.end() == 0, world.log.read_text()[-5000:]
    assert producer.left() == 0
    assert producer.failures == []
    assert producer.again == []
    assert producer.digests == calm
    stored = [path for path in world.documents.iterdir() if path.suffix == ".pdf"]
    assert stored, "no document was large enough for the store"
    assert all(path.stem == hashlib.sha256(path.read_bytes()).hexdigest() for path in stored), (
        "a document is incomplete"
    )


def test_the_same_seed_gives_the_same_faults() -> None:
    first, again = (schedule(7, 2000, 20, "redis", "process") for _ in range(2))
    assert first == again
    assert first != schedule(8, 2000, 20, "redis", "process")
    assert [fault.at for fault in first] == sorted({fault.at for fault in first})
    assert {fault.kind for fault in first} == {*EVERYWHERE, *ONLY_WITH["redis"], *ONLY_WITH["process"]}
