"""Setup of the fork server. The service itself never imports this module: importing it changes the process.

Drawing processes are forks of one server process that has imported everything once, so a killed process is replaced
within milliseconds and shares the server's memory. `multiprocessing` starts the server, which imports this module
before it forks.

The kernel notifies processes of their parent's death (prctl's parent death signal). The end of the service ends the
server, and the end of the server ends the drawing processes, even in an endless loop or while the interpreter's lock
is held. The signal is sent when the *thread* that started a process exits. So the service starts the server from the
thread of its event loop, and the server has only one thread: a process started from a thread of a pool would be
killed once that thread has been idle for 10 s.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal

PR_SET_PDEATHSIG = 1  # Linux, prctl(2)
SERVER = os.getpid()  # in a drawing process, this is still the PID of the server


def die_with_parent() -> None:
    """Make the kernel kill this process when its parent exits. Does nothing on systems other than Linux."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def parent_is_gone() -> bool:
    """Return whether the server exited before a drawing process called `die_with_parent`."""
    return SERVER not in (os.getpid(), os.getppid())


# A process manager may send SIGTERM to all processes of the service at once, but the service decides when its drawing
# processes exit. Forks inherit both settings.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
die_with_parent()
gc.freeze()
