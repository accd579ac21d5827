"""What happens on the disk while a document is stored, and when several services share the folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import trio

from render_trio.delivery import sweeping
from render_trio.delivery.directory import DirectoryStore

PDF = b"%PDF" * 100
SHA256 = "a" * 64


def test_a_document_is_on_the_disk_as_a_whole_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    names: list[str] = []

    def fsync(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        names.extend(path.name for path in tmp_path.iterdir())

    monkeypatch.setattr(os, "fsync", fsync)
    DirectoryStore(tmp_path, "").put(PDF, SHA256)
    assert sizes == [len(PDF)]
    (name,) = names
    assert name.startswith(f".{SHA256}.")
    assert name.endswith(".part"), "the sweep deletes only these if the process is killed"


def test_a_document_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "")
    store.put(PDF, SHA256)
    before = (tmp_path / f"{SHA256}.pdf").stat().st_ino
    store.put(PDF, SHA256)
    assert (tmp_path / f"{SHA256}.pdf").stat().st_ino == before


def test_two_services_may_create_the_folder_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = Path.mkdir

    def create_later(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        os.makedirs(path, exist_ok=True)  # noqa: PTH103 - by the other service
        create(path, mode, parents, exist_ok)

    monkeypatch.setattr(Path, "mkdir", create_later)
    DirectoryStore(tmp_path / "documents", "").put(PDF, SHA256)
    assert (tmp_path / "documents" / f"{SHA256}.pdf").read_bytes() == PDF


async def test_a_sweep_that_hangs_does_not_delay_shutdown(tmp_path: Path) -> None:
    began, release, ended = threading.Event(), threading.Event(), threading.Event()

    class HungStore(DirectoryStore):
        def sweep(self, keep_seconds: float, now: float | None = None) -> int:
            began.set()
            release.wait(10)
            ended.set()
            return 0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sweeping.sweep_for_ever, HungStore(tmp_path, ""), 1.0)
        assert await trio.to_thread.run_sync(began.wait, 30)
        nursery.cancel_scope.cancel()
    assert not ended.is_set()
    release.set()
