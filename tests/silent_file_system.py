"""A file system that hangs, as one on a network does whose server is gone: a FUSE file system that never answers.

Mounting needs root and `/dev/fuse`.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)


class SilentFileSystem:
    """Covers a folder: whatever accesses it hangs, until `die` or `end`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._server},rootmode=40000,user_id=0,group_id=0"
        if _LIBC.mount(b"silent", bytes(folder), b"fuse", 0, options.encode()):
            number = ctypes.get_errno()
            os.close(self._server)
            raise OSError(number, os.strerror(number), str(folder))

    def die(self) -> None:
        """Let every access fail, as after a crash of the file system's process."""
        if self._server >= 0:
            os.close(self._server)
            self._server = -1

    def end(self) -> None:
        """Uncover the folder."""
        self.die()
        subprocess.run(["umount", "--lazy", self._folder], check=True)
