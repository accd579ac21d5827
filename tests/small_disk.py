"""A disk of 2 MB of its own: a tmpfs, which only root can mount."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DISK_BYTES = 2 * 1024 * 1024


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """Mount the disk at a new folder, and yield it."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(disk: Path, mode: str) -> None:
    """Make the disk read-only (`ro`) or writable (`rw`)."""
    subprocess.run(["mount", "-o", f"remount,{mode}", disk], check=True)
