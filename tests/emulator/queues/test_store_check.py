"""Health checks of the store: one at a time, shared by all probes, and abandoned if they hang."""

from __future__ import annotations

import threading
from pathlib import Path

import trio
import trio.testing

from emulator.queues import store_check
from emulator.queues.store_check import StoreCheck
from emulator.stores.interface import StoreHealth
from emulator.stores.sqlite.store import SqliteStore
from tests.emulator.server.running import emulator


class HangingStore(SqliteStore):
    """A SQLite store whose check blocks like a read from a disk that doesn't respond, until `resume` is set."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.resume = threading.Event()
        self.checks = 0

    def check(self) -> StoreHealth:
        self.checks += 1
        self.resume.wait()
        return super().check()


async def test_a_check_that_hangs_is_reported_and_not_repeated(tmp_path: Path) -> None:
    store = HangingStore(tmp_path / "queue.sqlite3")
    check = StoreCheck(store)
    store_check_seconds, store_check.CHECK_SECONDS = store_check.CHECK_SECONDS, 0.2
    try:
        for _ in range(2):
            problem = (await check.health()).problem
            assert problem is not None
            assert "did not complete a check" in problem
            check._checked_at = float("-inf")
        assert store.checks == 1
        store.resume.set()
        await trio.testing.wait_all_tasks_blocked()
        store_check.CHECK_SECONDS = 30
        assert (await check.health()).problem is None
    finally:
        store_check.CHECK_SECONDS = store_check_seconds
        store.resume.set()
        store.close()


async def test_probes_at_the_same_time_share_one_check(tmp_path: Path) -> None:
    store = HangingStore(tmp_path / "queue.sqlite3")
    store.resume.set()
    check = StoreCheck(store)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(check.health)
    assert store.checks == 1
    store.close()


async def test_readiness_and_liveness_are_reported(tmp_path: Path) -> None:
    async with emulator(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as client:
        for path in ("/health", "/readyz", "/livez"):
            reply = await client.get(path)
            assert (reply.status_code, reply.json()) == (200, {"status": "ok"})
