"""An error of SQLite → the error for the caller: the cause, and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from emulator.stores.interface import StoreBusyError, StoreFullError, StoreUnavailableError

FULL_BYTES = 64 * 1024  # free space below which an error in writing is attributed to the full disk

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_READ_ONLY = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


class StoreDamagedError(StoreUnavailableError):
    """The file is damaged, or it is not a store."""


def code_of(error: sqlite3.Error) -> int:
    """Return the primary error code of SQLite, 0 for an error of Python's module."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Return whether another connection prevents the operation."""
    return code_of(error) in _BUSY


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is damaged or not a database."""
    return code_of(error) in _DAMAGED


def needs_reopening(error: sqlite3.Error) -> bool:
    """Return whether a new connection may work again after this error, because it reads the file anew."""
    return code_of(error) in (*_DAMAGED, *_READ_ONLY, *_DISK, sqlite3.SQLITE_ERROR, 0)


def described(error: sqlite3.Error, path: Path) -> StoreUnavailableError:
    """Return the error for the caller."""
    code = code_of(error)
    if code in _BUSY:
        return busy(path)
    if code == sqlite3.SQLITE_FULL or (code in _DISK and free_bytes(path.parent) < FULL_BYTES):
        return full(path)
    if code in _DAMAGED:
        return damaged(path, str(error))
    if code in _READ_ONLY:
        return read_only(path)
    if code in _DISK and path.exists():
        writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        if not writable or on_read_only_disk(path):
            return read_only(path)
    if code in _DISK:
        return StoreUnavailableError(
            f"{path} can't be read or written ({error}); check its disk, and the permissions of the file and its folder"
        )
    return StoreUnavailableError(f"the store {path} failed: {error}")


def busy(path: Path) -> StoreBusyError:
    """Return the error for a file that is locked by another program."""
    return StoreBusyError(f"{path} is locked by a write transaction of another program; end it, or retry later")


def full(path: Path) -> StoreFullError:
    """Return the error for a full disk."""
    return StoreFullError(f"the disk of {path.parent} is full; free space, or purge a queue")


def damaged(path: Path, detail: str) -> StoreDamagedError:
    """Return the error for a damaged file."""
    return StoreDamagedError(
        f"{path} is damaged ({detail}); move a good copy to its place, "
        f"for example one made with: sqlite3 {path.name} '.recover' | sqlite3 good.sqlite3"
    )


def read_only(path: Path) -> StoreUnavailableError:
    """Return the error for a file that can't be written."""
    if on_read_only_disk(path):
        return StoreUnavailableError(
            f"the disk of {path.parent} is read-only; mount it read-write, and check it first if its file system "
            "has reported an error"
        )
    return StoreUnavailableError(
        f"{path} is read-only; make it, its -wal and -shm files and their folder writable for user {_user()}"
    )


def on_read_only_disk(path: Path) -> bool:
    """Return whether the disk accepts no changes.

    After an error, ext4 refuses them but reports itself and its files as writable. So a change is tried: a file without
    a name, because closing one that SQLite has open would release the locks of this process.
    """
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: Windows has no statvfs
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            return True
    if hasattr(os, "O_TMPFILE"):  # not on macOS or Windows
        try:
            os.close(os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as error:
            return error.errno == errno.EROFS
    return False


def deleted(path: Path) -> StoreUnavailableError:
    """Return the error for a file that was deleted or moved while it was in use."""
    return StoreUnavailableError(
        f"{path} was deleted or moved while in use; move it back, or create an empty file there to start without tasks"
    )


def unreachable(path: Path, error: OSError) -> StoreUnavailableError:
    """Return the error for a file that can't be examined."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return deleted(path)
    return StoreUnavailableError(f"{path} can't be used as a store: {error.strerror}; check the folder and its disk")


def free_bytes(folder: str | Path) -> int:
    """Return the free bytes of the disk with this folder; a large number if that is unknown."""
    try:
        found = os.statvfs(folder)
    except (OSError, AttributeError):  # AttributeError: Windows has no statvfs
        return 1 << 62
    return found.f_bavail * found.f_frsize


def _user() -> str:
    return str(os.geteuid()) if hasattr(os, "geteuid") else "of this process"
