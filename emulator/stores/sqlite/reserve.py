"""Space on the disk that is kept for draining the queue: a file next to the store, deleted when the disk is full.

Leasing and deleting tasks writes to the journal, so a full disk would prevent what frees it. Therefore an insert is
refused before the disk is full, and if another program fills it, the reserve is given up for all other operations.
It is created again as soon as there is space, and inserts are accepted again after that.

The journal never needs more than the reserve: it is copied to the store's file after `checkpoint_pages` pages, a
number that is reduced on a small disk.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from pathlib import Path

from emulator.stores.sqlite import faults

log = logging.getLogger(__name__)
SUFFIX = "-reserve"
MAX_RESERVE = 8 * 1024 * 1024
MIN_RESERVE = 64 * 1024
DISK_SHARE = 8  # the reserve is at most this fraction of the disk
PAGE_BYTES = 4096
MAX_CHECKPOINT_PAGES = 1000  # SQLite's default
PARTIAL_SECONDS = 60.0  # after which a partial reserve was left by a process that was killed
MARGIN = 64 * 1024  # for index pages, and for other programs that write meanwhile


class Reserve:
    """The reserve of the store at `path`. Its methods are thread-safe; `create` and `release` don't raise OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = str(path.parent)
        self._file = path.with_name(path.name + SUFFIX)
        self.size = min(MAX_RESERVE, max(MIN_RESERVE, _disk_bytes(path) // DISK_SHARE))
        self.checkpoint_pages = min(MAX_CHECKPOINT_PAGES, self.size // 2 // PAGE_BYTES)
        # A checkpoint may need this for the file while the journal still has its own.
        self._floor = self.checkpoint_pages * PAGE_BYTES + MARGIN

    @property
    def exists(self) -> bool:
        """Whether the reserve is there."""
        return self._file.exists()

    def has_room(self, payload_bytes: int = 0, *, spare: bool = False) -> bool:
        """Return whether a task with this payload (Base64) fits on the disk without using the reserve.

        With `spare`, as much space as the reserve must be left in addition.
        """
        # The payload is written to the journal and then to the file.
        free = faults.free_bytes(self._folder) - self._floor - 2 * payload_bytes - (self.size if spare else 0)
        return free >= self.size or (free >= 0 and self.exists)

    def could_have_room(self, payload_bytes: int) -> bool:
        """Return whether a task with this payload would fit if the disk were empty."""
        return _disk_bytes(self._path) >= 2 * self.size + self._floor + 2 * payload_bytes

    def create(self) -> None:
        """Create the reserve if it is missing and there is enough space for it."""
        self._sweep()
        if self.exists or not self.has_room():
            return
        part = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                _allocate(descriptor, self.size)
            finally:
                os.close(descriptor)
            part.replace(self._file)
        except OSError as error:
            log.info("reserve not created: %s", error)
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Delete the partial reserves of processes that were killed: they take as much space as the reserve."""
        partial = re.compile(re.escape(self._file.name) + r"\.[0-9]+", re.ASCII)
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # deleted by another process
                    if partial.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        path = Path(entry.path)
                        if path.stat().st_mtime < time.time() - PARTIAL_SECONDS:
                            path.unlink()

    def release(self) -> None:
        """Give the space back to the disk."""
        try:
            self._file.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("reserve not released: %s", error)
            return
        log.warning("disk full, reserve released: %s", self._path.parent)


def _disk_bytes(path: Path) -> int:
    """Return the size of the disk; a large number if that is unknown."""
    try:
        found = os.statvfs(path.parent)
    except (OSError, AttributeError):  # AttributeError: Windows has no statvfs
        return 1 << 62
    return found.f_blocks * found.f_frsize


def _allocate(descriptor: int, size: int) -> None:
    """Make the file occupy `size` bytes of the disk."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.write(descriptor, b"\0" * size)
