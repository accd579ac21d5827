"""The PID file, locked for as long as the service runs, so that no other process is signalled by mistake.

The kernel releases the lock when the process ends, however it ends; a stale file is not locked. To signal the
service, open the file, check that it is locked, and signal the process ID in it (scripts/shutdown-script.sh).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from render_trio.errors import StartupError

PATIENCE_SECONDS = 1.0  # for a process that holds the lock only to check whether the file is locked
POLL_INTERVAL = 0.02  # s
MAX_BYTES = 20
_PROCESS_ID = re.compile(rb"[0-9]{0,19}\n?")  # empty: a process that was killed before it wrote its ID


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Write this process's ID to the file and lock it; delete it when the block is left.

    Raises StartupError if another process holds the lock, the file can't be written, or is no PID file.
    """
    try:
        descriptor = _locked(path)
    except OSError as error:
        raise _unusable(path, error) from error
    if not _PROCESS_ID.fullmatch(os.pread(descriptor, MAX_BYTES + 1, 0)):
        os.close(descriptor)
        raise StartupError(
            f"PID_FILE is {str(path)!r}, which contains something other than a process ID; set another path, or delete "
            "the file"
        )
    try:
        _write_id(path, descriptor)
        yield
    finally:
        path.unlink(missing_ok=True)  # still locked, so no other process can own the file yet
        os.close(descriptor)


def _write_id(path: Path, descriptor: int) -> None:
    content = f"{os.getpid()}\n".encode()
    try:
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> StartupError:
    return StartupError(
        f"PID_FILE is {str(path)!r}: it can't be written: {error.strerror}; set a path in an existing folder that "
        "this user may write to"
    )


def _locked(path: Path) -> int:
    import fcntl  # not on Windows

    patient_until = time.monotonic() + PATIENCE_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_current(path, descriptor):
                return descriptor
        except BlockingIOError:
            if time.monotonic() > patient_until:
                holder = os.pread(descriptor, MAX_BYTES, 0).decode(errors="replace").strip()
                os.close(descriptor)
                raise StartupError(
                    f"PID_FILE is {str(path)!r}, which is locked by process {holder}: the service is already running. "
                    "Stop it, or set another PID_FILE"
                ) from None
        os.close(descriptor)
        time.sleep(POLL_INTERVAL)


def _is_current(path: Path, descriptor: int) -> bool:
    """Return whether the open file is still the one at this path; its previous holder may have deleted it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
