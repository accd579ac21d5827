"""A temporary folder for the socket of the fork server that doesn't outlive a service for long.

`multiprocessing` makes a folder for this socket and deletes it at exit; after SIGKILL it stays for ever. Ours has a
name that can be recognised, and its owner locks it. The kernel releases the lock when the process ends, however it
ends, and the next service that starts deletes the folders that are not locked.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import os
import shutil
import stat
import sys
import tempfile
from multiprocessing import process
from pathlib import Path

PREFIX = "rtrio-"  # short, because the path of a socket is
SOCKET_PATH = 107 if sys.platform == "linux" else 103  # bytes that the path of a socket may have
LONG_PATH = "the path is too long for a socket; set TMPDIR to another folder"
SOCKET_NAME = "/listener-xxxxxxxx"  # as multiprocessing makes it


def prepare() -> None:
    """Make a folder for this process, and let multiprocessing use it; delete those that killed processes left.

    Does nothing if multiprocessing has a folder already. Raises OSError if there is no usable temporary folder.
    """
    settings = process.current_process()._config  # type: ignore[attr-defined]  # read by multiprocessing.util.get_temp_dir
    if settings.get("tempdir") is not None:
        return
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent / f"{PREFIX}xxxxxxxx")) + len(SOCKET_NAME) > SOCKET_PATH:
        raise OSError(errno.ENAMETOOLONG, LONG_PATH, str(parent))
    sweep(parent)
    folder = None
    while folder is None:
        folder = _locked(Path(tempfile.mkdtemp(dir=parent, prefix=PREFIX)))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings["tempdir"] = str(folder)


def sweep(parent: Path) -> None:
    """Delete the folders of this user whose processes have ended."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                _delete_unless_locked(Path(entry.path))


def _locked(folder: Path) -> Path | None:
    """Lock a new folder until this process ends, and return it; None if another process has just swept it away."""
    descriptor = _open(folder)
    if descriptor is None:
        return None
    with contextlib.suppress(OSError):  # a file system without locks: no process can take the folder for a stale one
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if folder.exists():
        return folder
    os.close(descriptor)
    return None


def _delete_unless_locked(folder: Path) -> None:
    descriptor = _open(folder)
    if descriptor is None:
        return
    try:
        found = os.fstat(descriptor)
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == stat.S_IRWXU:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # it is locked, or it can't be
        pass
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int | None:
    """Return a descriptor of the folder; None if there is none, or something else has its name."""
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
