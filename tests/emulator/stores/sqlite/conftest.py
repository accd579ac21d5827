"""Fixtures for the tests of faults: a small disk, and a queue in a process of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.stores.sqlite.faulty import Queue, running_queue

DISK_BYTES = 2 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB: a tmpfs, which only root can mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path of a store that doesn't exist yet."""
    return tmp_path / "queue.sqlite3"


@pytest.fixture
def queue(file: Path) -> Iterator[Queue]:
    """A queue with that store."""
    with running_queue(file) as queue:
        yield queue
