"""Errors of SQLite → the error for the caller: each code, and the state of the disk, has its cause and remedy."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from emulator.stores.interface import StoreBusyError, StoreFullError, StoreUnavailableError
from emulator.stores.sqlite import faults

KIB = 1024


def error_with(code: int | None) -> sqlite3.Error:
    """Return an error with an error code of SQLite, or an error of Python's module."""
    error = sqlite3.OperationalError("some error")
    if code is not None:
        error.sqlite_errorcode = code
    return error


@pytest.fixture(autouse=True)
def store(file: Path) -> Path:
    """A file on a disk that works."""
    file.touch()
    return file


@pytest.mark.parametrize(
    ("code", "kind", "cause", "reopened"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusyError, "is locked by a write transaction", False),
        (sqlite3.SQLITE_BUSY | 2 << 8, StoreBusyError, "is locked by a write transaction", False),
        (sqlite3.SQLITE_LOCKED, StoreBusyError, "is locked by a write transaction", False),
        (sqlite3.SQLITE_PROTOCOL, StoreBusyError, "is locked by a write transaction", False),
        (sqlite3.SQLITE_FULL, StoreFullError, "is full; free space", False),
        (sqlite3.SQLITE_CORRUPT, faults.StoreDamagedError, "is damaged (some error)", True),
        (sqlite3.SQLITE_NOTADB, faults.StoreDamagedError, "is damaged (some error)", True),
        (sqlite3.SQLITE_READONLY, StoreUnavailableError, "is read-only; make it", True),
        (sqlite3.SQLITE_PERM, StoreUnavailableError, "is read-only; make it", True),
        (sqlite3.SQLITE_AUTH, StoreUnavailableError, "is read-only; make it", True),
        (sqlite3.SQLITE_IOERR, StoreUnavailableError, "can't be read or written (some error)", True),
        (sqlite3.SQLITE_CANTOPEN, StoreUnavailableError, "can't be read or written (some error)", True),
        (sqlite3.SQLITE_ERROR, StoreUnavailableError, "failed: some error", True),
        (sqlite3.SQLITE_CONSTRAINT, StoreUnavailableError, "failed: some error", False),
        (None, StoreUnavailableError, "failed: some error", True),
    ],
)
def test_every_error_of_sqlite_has_a_cause(
    store: Path, code: int | None, kind: type[Exception], cause: str, reopened: bool
) -> None:
    error = error_with(code)
    found = faults.described(error, store)
    assert type(found) is kind
    assert cause in str(found)
    assert str(store.parent) in str(found)
    assert faults.needs_reopening(error) is reopened
    assert faults.is_busy(error) is (kind is StoreBusyError)
    assert faults.is_damage(error) is (kind is faults.StoreDamagedError)
    assert faults.code_of(error) == (code or 0) & 0xFF


@pytest.mark.parametrize(("free", "is_full"), [(64 * KIB - 1, True), (64 * KIB, False)])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT])
def test_an_error_in_writing_is_attributed_to_a_full_disk(
    store: Path, monkeypatch: pytest.MonkeyPatch, code: int, free: int, is_full: bool
) -> None:
    disk = SimpleNamespace(f_bavail=free, f_frsize=1, f_blocks=10**6, f_flag=0)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    found = faults.described(error_with(code), store)
    assert isinstance(found, StoreFullError) is (is_full and code != sqlite3.SQLITE_CORRUPT)


@pytest.mark.parametrize("denied", ["file", "folder"])
def test_an_error_in_writing_is_attributed_to_missing_permissions(
    store: Path, monkeypatch: pytest.MonkeyPatch, denied: str
) -> None:
    """Root has every permission, so the answer of the system is replaced."""
    refused = store if denied == "file" else store.parent
    monkeypatch.setattr(os, "access", lambda path, _: path != refused)
    found = faults.described(error_with(sqlite3.SQLITE_IOERR), store)
    assert f"{store} is read-only" in str(found)
    assert f"writable for user {os.geteuid()}" in str(found)
    store.unlink()
    assert "can't be read or written" in str(faults.described(error_with(sqlite3.SQLITE_CANTOPEN), store))


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY])
def test_an_error_in_writing_is_attributed_to_a_read_only_disk(
    store: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    disk = SimpleNamespace(f_bavail=10**6, f_frsize=1, f_blocks=10**6, f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    assert faults.on_read_only_disk(store)
    found = faults.described(error_with(code), store)
    assert f"the disk of {store.parent} is read-only" in str(found)


@pytest.mark.parametrize(
    ("number", "read_only"), [(errno.EROFS, True), (errno.EACCES, False), (errno.EOPNOTSUPP, False)]
)
def test_a_disk_that_refuses_changes_after_an_error_is_read_only(
    store: Path, monkeypatch: pytest.MonkeyPatch, number: int, read_only: bool
) -> None:
    """As ext4 does, which reports itself as writable."""

    def refuse(*_: object) -> int:
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "open", refuse)
    assert faults.on_read_only_disk(store) is read_only


def test_a_writable_disk_is_not_changed_by_the_test_whether_it_is(store: Path) -> None:
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    assert not faults.on_read_only_disk(store)
    assert [path.name for path in store.parent.iterdir()] == [store.name]
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_systems_without_statvfs_or_unnamed_files_are_supported(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "statvfs")
    assert not faults.on_read_only_disk(store)
    monkeypatch.delattr(os, "O_TMPFILE")
    assert not faults.on_read_only_disk(store)
    monkeypatch.delattr(os, "geteuid")
    assert "writable for user of this process" in str(faults.read_only(store))


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.ENOENT, "was deleted or moved while in use"),
        (errno.ENOTDIR, "was deleted or moved while in use"),
        (errno.EACCES, "can't be used as a store: Permission denied"),
        (errno.EIO, "can't be used as a store: Input/output error"),
    ],
)
def test_a_file_that_cannot_be_examined_has_a_cause(store: Path, number: int, cause: str) -> None:
    assert cause in str(faults.unreachable(store, OSError(number, os.strerror(number))))
