"""What the fork server does when it starts. Never imported by the service itself: importing it acts.

Drawing processes are forks of one server process that has imported everything once, so that a killed one is
replaced in milliseconds and shares its memory. `multiprocessing` starts the server, which imports this module
before it forks. Parents' deaths are told by the kernel (prctl's parent death signal): the service's end ends
the server, the server's end ends the drawing processes, whatever loop they are in and whoever holds the
interpreter's lock. The signal comes when the *thread* that started a process ends. So the service starts the
server from its event loop's thread, and the server has only one: a process that is started from a thread of
a pool is killed when that thread has been idle for 10 s.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal

PR_SET_PDEATHSIG = 1  # Linux, prctl(2)
SERVER = os.getpid()  # in a drawing process, this is still the server's


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends. Elsewhere than on Linux, nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def parent_is_gone() -> bool:
    """Return whether the server ended before a drawing process asked to be told of it."""
    return SERVER not in (os.getpid(), os.getppid())


# A supervisor of the operating system may signal all processes of the service at once; when to end is the
# service's business. Forks inherit both.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
die_with_parent()
gc.freeze()
