"""The PID file: whose process id stands in it holds its lock, so that nobody signals a stranger.

The lock goes with the process, however it ends; a file that was left over is not locked. Whoever wants to
signal us opens the file, sees that it is locked, and signals the id in it (scripts/shutdown-script.sh).
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from render_trio.errors import FatalError

PATIENCE_SECONDS = 1.0  # for somebody who only looks whether the file is locked
POLL_INTERVAL = 0.02


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the file, with our process id in it, until the block is left; then it is gone.

    Raises FatalError when another process holds it, OSError when it can't be written.
    """
    descriptor = _locked(path)
    try:
        content = f"{os.getpid()}\n".encode()
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
        yield
    finally:
        path.unlink(missing_ok=True)  # while we hold the lock: it is ours
        os.close(descriptor)


def _locked(path: Path) -> int:
    patient_until = time.monotonic() + PATIENCE_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(path, descriptor):
                return descriptor
        except BlockingIOError:
            if time.monotonic() > patient_until:
                holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
                os.close(descriptor)
                raise FatalError(f"PID_FILE is {str(path)!r}, which process {holder} holds: it runs already") from None
        os.close(descriptor)
        time.sleep(POLL_INTERVAL)


def _is(path: Path, descriptor: int) -> bool:
    """Return whether the file is still the one at this path: its last holder removes it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
