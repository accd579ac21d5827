"""Attack: visitors flood the service with tasks and documents, to delay a producer's tasks and to fill the disk.

On 0.1.0, unique reply tags filled 57 MB in 10 s, and each task of a producer waited behind all those of visitors.

`FLOOD=long ./scripts/test tests/security/test_flood.py` floods for a minute, with 200 visitors and 4 threads of tasks.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import trio

from tests.processes import queue, start_service
from tests.security.flood import flooding, size_of

LONG = os.environ.get("FLOOD") == "long"
SECONDS, VISITORS, THREADS = (60.0, 200, 4) if LONG else (6.0, 6, 4)
INTERVAL = 0.4  # s between two tasks of the producer
QUOTA = 24 * 1024 * 1024
FILES_BYTES = 8 * 1024 * 1024  # that the SQLite file and its journal take besides the payloads


def ends(text: bytes) -> list[str]:
    """Return the tasks that were done according to a part of the log, in the order in which they ended."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith(b"{") and line.endswith(b"}")]
    return [line["task"] for line in lines if line["event"] == "task done"]


def ended_before(log: bytes, name: str, size: int) -> tuple[int, int]:
    """Return how many tasks from the web, and of producers, ended after the log had a size and before a task did."""
    order = ends(log[size:])
    before = order[: order.index(name)] if name in order else []
    web = sum(task.startswith("web-") for task in before)
    return web, len(before) - web


def test_a_flood_delays_a_producer_s_task_by_one_render_and_stays_within_the_quota(tmp_path: Path) -> None:
    log = tmp_path / "log"
    store, documents = tmp_path / "store", tmp_path / "documents"
    store.mkdir()
    known: dict[str, int] = {}
    sizes: list[int] = []

    async def attack(service: str, queue_address: str) -> dict[int, int]:
        async with flooding(service, queue_address, threads=THREADS, visitors=VISITORS, interval=INTERVAL) as flood:
            deadline = trio.current_time() + SECONDS
            while trio.current_time() < deadline:
                for name in flood.inserted.keys() - known.keys():
                    known[name] = log.stat().st_size
                sizes.append(size_of(store, documents))
                await trio.sleep(0.02)
        assert set(flood.ended) == set(flood.inserted), "every task of the producer has a result"
        return flood.statuses

    with queue(f"sqlite:///{store}/queue.sqlite3") as running:
        service = start_service(
            running.address,
            log,
            RENDER_WORKERS=1,
            WEB_TASKS=100_000,
            WEB_TASK_BYTES=QUOTA,
            DOCUMENT_STORE=documents,
        )
        try:
            statuses = trio.run(attack, service.address, running.address)
        finally:
            service.end()
    text = log.read_bytes()
    counts = [ended_before(text, name, size) for name, size in known.items()]
    assert len(counts) > SECONDS / INTERVAL / 4
    # One that was under way at the insertion, or was due; and one for every three tasks that producers have before it.
    assert all(web <= 1 + producers // 3 for web, producers in counts), counts
    assert max(sizes) < QUOTA + FILES_BYTES
    assert sum(task.startswith("web-") for task in ends(text)) > 0, "visitors are served, too"
    assert statuses[202] > 0
    print(f"(web, producers) ended before: {Counter(counts)}; {max(sizes)} bytes; {statuses}")
