"""A file or a disk that can't be written: reported with the cause, and used again once it can."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator.server.running import TASKS
from tests.emulator.stores.sqlite.faulty import RESTRICTED, Queue, refused_start, running_queue
from tests.redis_faults import until

DISK_BYTES = 16 * 1024 * 1024
READ_ONLY_DISK = "is read-only; mount it read-write, and check it first"


class BrittleDisk:
    """A disk with ext4 in a file. Like most systems, it is mounted so that it becomes read-only after an error."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.folder = folder
        self._image = image
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop,errors=remount-ro", self._image, self.folder], check=True)

    def fail(self) -> None:
        """Cause an error of the file system, with open files. Everything so far is on the disk."""
        subprocess.run(["sync", "--file-system", self.folder], check=True)
        found = subprocess.run(
            ["findmnt", "--noheadings", "--output", "SOURCE", self.folder], check=True, capture_output=True, text=True
        )
        Path(f"/sys/fs/ext4/{Path(found.stdout.strip()).name}/trigger_fs_error").write_text("error of a test")

    def unmount(self) -> bool:
        """Return whether it worked: not while a program has a file open."""
        return subprocess.run(["umount", self.folder], check=False, capture_output=True).returncode == 0

    def repair(self) -> None:
        """Unmount the disk, check it and mount it again, as an operator would."""
        until(self.unmount)
        assert subprocess.run(["e2fsck", "-p", self._image], check=False, capture_output=True).returncode <= 1
        self.mount()

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=False, capture_output=True)


@pytest.fixture
def brittle_disk(tmp_path: Path) -> Iterator[BrittleDisk]:
    disk = BrittleDisk(tmp_path / "image", tmp_path / "disk")
    yield disk
    disk.close()


def _refused(queue: Queue) -> None:
    """Check that every call and the health name the cause."""
    queue.refused(READ_ONLY_DISK)
    for reply in (queue.client.post(f"{TASKS}/lease?numTasks=1&leaseSecs=60"), queue.client.delete(f"{TASKS}/one")):
        assert reply.status_code == 503
        assert READ_ONLY_DISK in reply.json()["error"]["message"]
    assert READ_ONLY_DISK in queue.wait_for_health(503)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_disk_that_becomes_read_only_is_reported_until_it_is_mounted_again(
    brittle_disk: BrittleDisk, processes: int
) -> None:
    with running_queue(brittle_disk.folder / "queue.sqlite3", "--processes", str(processes)) as queue:
        for name in ("one", "two"):
            assert queue.insert(name).status_code == 200
        assert queue.lease(count=1, seconds=3600) == ["one"]
        brittle_disk.fail()
        _refused(queue)
        brittle_disk.repair()
        queue.wait_for_health(200)
        assert queue.insert("three").status_code == 200
        assert queue.lease() == ["two", "three"]
        assert queue.delete("one") == 204


def test_a_read_only_disk_is_reported_while_no_requests_come_in(brittle_disk: BrittleDisk) -> None:
    with running_queue(brittle_disk.folder / "queue.sqlite3") as queue:
        queue.wait_for_health(200)
        brittle_disk.fail()
        assert READ_ONLY_DISK in queue.wait_for_health(503)
        brittle_disk.repair()
        queue.wait_for_health(200)


def test_a_queue_on_a_read_only_disk_ends_on_sigterm(brittle_disk: BrittleDisk) -> None:
    file = brittle_disk.folder / "queue.sqlite3"
    with running_queue(file) as queue:
        queue.insert("one")
        brittle_disk.fail()
        queue.refused(READ_ONLY_DISK)
        queue.end(signal.SIGTERM)
    brittle_disk.repair()
    with running_queue(file) as queue:
        assert queue.lease() == ["one"]


def test_a_queue_ends_on_sigterm_although_it_has_not_noticed_that_its_disk_is_read_only(
    brittle_disk: BrittleDisk,
) -> None:
    with running_queue(brittle_disk.folder / "queue.sqlite3") as queue:
        queue.insert("one")
        brittle_disk.fail()
        queue.end(signal.SIGTERM)


def test_a_read_only_file_prevents_the_start(file: Path) -> None:
    with running_queue(file) as queue:
        queue.insert("one")
    file.chmod(0o444)
    line = refused_start(file, *RESTRICTED)
    assert f"{file} is read-only; make it, its -wal and -shm files and their folder writable for user 0" in line


def test_a_read_only_file_is_reported_until_it_is_writable(file: Path) -> None:
    """A copy without write permission takes the place of the file."""
    with running_queue(file) as queue:
        queue.insert("one")
    copy = file.with_name("copy")
    shutil.copy(file, copy)
    copy.chmod(0o444)
    with running_queue(file, prefix=RESTRICTED) as queue:
        queue.wait_for_health(200)
        copy.rename(file)
        queue.refused("is read-only")
        assert "is read-only" in queue.wait_for_health(503)
        file.chmod(0o644)
        queue.wait_for_health(200)
        assert queue.lease() == ["one"]


def test_a_read_only_disk_prevents_the_start(small_disk: Path) -> None:
    file = small_disk / "queue.sqlite3"
    with running_queue(file) as queue:
        queue.insert("one")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert "read-only" in refused_start(file)
    assert "Read-only file system" in refused_start(small_disk / "new.sqlite3")
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    with running_queue(file) as queue:
        assert queue.lease() == ["one"]
