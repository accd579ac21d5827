"""The document store is swept again and again, also after it has failed; and exactly what is old is deleted."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from render_trio.delivery.delivery import STORE_SECONDS, Delivery
from render_trio.delivery.directory import PARTIAL_SECONDS, DirectoryStore
from render_trio.delivery.sweeping import sweep_for_ever

NOW = 2e9


class FakeStore(DirectoryStore):
    """Returns or raises `outcomes` one after another; records when it is swept."""

    def __init__(self, *outcomes: int | OSError) -> None:
        super().__init__(Path("unused"), "")
        self.outcomes = list(outcomes)
        self.kept: list[float] = []

    def sweep(self, keep_seconds: float, now: float | None = None) -> int:
        self.kept.append(keep_seconds)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome


async def test_a_store_is_swept_at_once_and_every_hour_even_after_it_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threads take real time, which Trio's mock clock would jump over: the pauses are replaced instead."""
    store = FakeStore(0, OSError(5, "Input/output error"), 3)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert len(store.kept) == len(pauses)
        if len(pauses) == 3:
            scope.cancel()
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(trio, "sleep", pause)
    with capture_logs() as lines, trio.CancelScope() as scope:
        await sweep_for_ever(store, 77.0)
    assert store.kept == [77.0] * 3
    assert pauses == [3600] * 3
    assert [(line["event"], line.get("error"), line.get("documents")) for line in lines] == [
        ("document store not swept", "[Errno 5] Input/output error", None),
        ("old documents deleted", None, 3),
    ]


@pytest.mark.parametrize(
    ("name", "age", "keep_seconds", "deleted"),
    [
        ("a" * 64 + ".pdf", 99.0, 100.0, False),
        ("a" * 64 + ".pdf", 100.0, 100.0, False),
        ("a" * 64 + ".pdf", 101.0, 100.0, True),
        ("a" * 64 + ".pdf", 1e9, 0.0, False),
        (f".{'a' * 64}.abcdef_9.part", PARTIAL_SECONDS - 1, 100.0, False),
        (f".{'a' * 64}.abcdef_9.part", PARTIAL_SECONDS + 1, 100.0, True),
        (f".{'a' * 64}.abcdef_9.part", PARTIAL_SECONDS + 1, 1e9, True),
        (f".{'a' * 64}.abcdef_9.part", PARTIAL_SECONDS + 1, 0.0, True),
        (".abcdef_9.part", PARTIAL_SECONDS + 1, 0.0, True),
    ],
)
def test_a_file_is_deleted_when_it_is_too_old(
    name: str, age: float, keep_seconds: float, deleted: bool, tmp_path: Path
) -> None:
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (NOW - age, NOW - age))
    assert DirectoryStore(tmp_path, "").sweep(keep_seconds, NOW) == (1 if deleted and name.endswith("pdf") else 0)
    assert (tmp_path / name).exists() is not deleted


def test_the_number_of_deleted_documents_is_returned(tmp_path: Path) -> None:
    for name in (f"{digit * 64}.pdf" for digit in "abc"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (NOW, NOW))
    assert DirectoryStore(tmp_path, "").sweep(10, NOW + 11) == 3


def test_an_hour_must_pass_before_a_partial_file_is_deleted() -> None:
    """The longest delivery takes half a minute; clocks of other services may be wrong by minutes."""
    assert (PARTIAL_SECONDS, STORE_SECONDS) == (3600, 30)


async def test_eight_deliveries_may_wait_for_the_store_and_no_thread_is_added() -> None:
    running, peak, lock, release = 0, 0, threading.Lock(), threading.Event()
    full = threading.Event()

    class Store:
        def put(self, pdf: bytes, sha256: str) -> str:
            nonlocal running, peak
            with lock:
                running += 1
                peak = max(peak, running)
                if running == 8:
                    full.set()
            release.wait(60)
            return sha256

    delivery = Delivery(0, Store())
    urls: list[str | None] = []

    async def deliver(name: str) -> None:
        urls.append(await delivery.deliver(b"x", name))

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(deliver, str(number))
        assert await trio.to_thread.run_sync(full.wait, 30)
        await wait_all_tasks_blocked()
        assert peak == 8
        release.set()
    assert sorted(urls, key=lambda url: int(url or 0)) == [str(number) for number in range(12)]
