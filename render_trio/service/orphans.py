"""As the first process of a container, the service inherits the processes whose parent ended, and must reap them.

The drawing processes are children of the fork server. If that is killed, they are too, and remain as zombies of the
first process. With `tini` or `--init`, that isn't the service.
"""

from __future__ import annotations

import contextlib
import os
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import trio

INTERVAL = 5.0  # s
THREADS = Path("/proc/self/task")  # the kernel lists children by the thread that started or inherited them


async def reap_orphans(interval: float = INTERVAL) -> None:
    """Reap the orphans again and again if this is the first process; otherwise return at once."""
    while os.getpid() == 1:
        reap()
        await trio.sleep(interval)


def reap() -> None:
    """Reap the children that have ended, except those that `multiprocessing` waits for."""
    # Private, but there is no other way to recognise them; without these names, nothing is exempt.
    own = {
        getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None),
        getattr(getattr(resource_tracker, "_resource_tracker", None), "_pid", None),
    }
    for child in _children() - own:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, os.WNOHANG)


def _children() -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in THREADS.iterdir():
            with contextlib.suppress(OSError):  # it has just ended
                found |= {int(child) for child in (thread / "children").read_text(encoding="ascii").split()}
    return found
