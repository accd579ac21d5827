"""The reserve by the numbers: its size for each disk, and which tasks are accepted at which free space."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from emulator.stores.sqlite import faults, reserve
from emulator.stores.sqlite.reserve import Reserve

KIB, MIB = 1024, 1024 * 1024
FLOOR = 1000 * 4096 + 64 * KIB  # of a large disk


class Disk:
    """A disk of which the size and the free space are set."""

    def __init__(self, total: int = 1024 * MIB, free: int = 1024 * MIB) -> None:
        self.total = total
        self.free = free

    def statvfs(self, _: object) -> SimpleNamespace:
        return SimpleNamespace(f_blocks=self.total // 512, f_frsize=512, f_bavail=self.free // 512, f_flag=0)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "statvfs", disk.statvfs)
    return disk


@pytest.mark.parametrize(
    ("total", "size", "pages"),
    [
        (1, 64 * KIB, 8),
        (512 * KIB, 64 * KIB, 8),
        (2 * MIB, 256 * KIB, 32),
        (64 * MIB - 8 * 512, 8 * MIB - 512, 1000),
        (64 * MIB, 8 * MIB, 1000),
        (10**12, 8 * MIB, 1000),
    ],
)
def test_the_reserve_is_an_eighth_of_a_small_disk(file: Path, disk: Disk, total: int, size: int, pages: int) -> None:
    disk.total = total
    found = Reserve(file)
    assert found.size == size
    assert found.checkpoint_pages == pages


@pytest.mark.parametrize("payload", [0, 100 * KIB])
@pytest.mark.parametrize(
    ("exists", "spare", "needed"),
    [(False, False, 8 * MIB), (True, False, 0), (False, True, 16 * MIB), (True, True, 8 * MIB)],
)
def test_a_task_needs_twice_its_size_in_addition_to_the_reserve(
    file: Path, disk: Disk, payload: int, exists: bool, spare: bool, needed: int
) -> None:
    found = Reserve(file)
    if exists:
        file.with_name(f"{file.name}-reserve").touch()
    assert found.exists is exists
    disk.free = FLOOR + needed + 2 * payload
    assert found.has_room(payload, spare=spare)
    disk.free -= 512
    assert not found.has_room(payload, spare=spare)


def test_without_arguments_the_room_for_the_journal_is_checked(file: Path, disk: Disk) -> None:
    disk.free = FLOOR + 8 * MIB
    assert Reserve(file).has_room()
    disk.free -= 512
    assert not Reserve(file).has_room()


def test_a_task_that_would_not_fit_on_the_empty_disk_is_recognised(file: Path, disk: Disk) -> None:
    found = Reserve(file)
    payload = 3 * MIB
    disk.total = 2 * 8 * MIB + FLOOR + 2 * payload
    assert found.could_have_room(payload)
    assert not found.could_have_room(payload + 512)
    disk.total -= 512
    assert not found.could_have_room(payload)


def test_the_reserve_occupies_its_size_and_is_private(file: Path) -> None:
    found = Reserve(file)
    found.create()
    path = file.with_name(f"{file.name}-reserve")
    assert found.exists
    assert path.stat().st_size == found.size
    assert path.stat().st_blocks * 512 >= found.size  # no sparse file
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat().st_ino
    found.create()
    assert path.stat().st_ino == before
    assert [entry.name for entry in file.parent.iterdir()] == [path.name]


def test_no_reserve_is_created_without_room(file: Path, disk: Disk) -> None:
    disk.free = FLOOR + 8 * MIB - 512
    found = Reserve(file)
    found.create()
    assert list(file.parent.iterdir()) == []


def test_a_reserve_that_cannot_be_written_leaves_no_part(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    found = Reserve(file)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    found.create()
    assert list(file.parent.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files
    Reserve(file.parent / "nowhere" / "queue.sqlite3").create()  # doesn't raise either


def test_only_old_parts_of_killed_processes_are_deleted(file: Path) -> None:
    names = (
        f"{file.name}-reserve.1",
        f"{file.name}-reserve.22",
        f"{file.name}-reserve.x",
        f"{file.name}-reserve.1x",
        "other-reserve.1",
        file.name,
    )
    for name in names:
        path = file.with_name(name)
        path.touch()
        age = 30 if name.endswith(".22") else 90
        os.utime(path, (time.time() - age, time.time() - age))
    (file.parent / f"{file.name}-reserve.3").mkdir()
    os.utime(file.parent / f"{file.name}-reserve.3", (0, 0))
    (file.parent / f"{file.name}-reserve.4").symlink_to(file)
    Reserve(file).create()
    left = {entry.name for entry in file.parent.iterdir()}
    assert left == {*names[1:], f"{file.name}-reserve.3", f"{file.name}-reserve.4", f"{file.name}-reserve"}


def test_a_release_deletes_the_reserve_and_is_logged_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = Reserve(file)
    found.create()
    found.release()
    assert not found.exists
    found.release()
    assert [record.getMessage() for record in caplog.records] == [f"disk full, reserve released: {file.parent}"]


def test_a_release_that_fails_does_not_raise(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.with_name(f"{file.name}-reserve").mkdir()
    Reserve(file).release()
    assert len(caplog.records) == 1
    assert caplog.records[0].getMessage().startswith("reserve not released: ")


@pytest.mark.parametrize("error", [OSError(5, "I/O error"), AttributeError("statvfs")])
def test_a_disk_of_unknown_size_is_regarded_as_large(
    file: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(os, "statvfs", fail)
    assert faults.free_bytes(file.parent) >= 1 << 60
    found = Reserve(file)
    assert (found.size, found.has_room(MIB, spare=True), found.could_have_room(MIB)) == (8 * MIB, True, True)


def test_the_reserve_is_written_where_space_cannot_be_allocated(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    found = Reserve(file)
    found.create()
    assert file.with_name(f"{file.name}{reserve.SUFFIX}").stat().st_size == found.size
