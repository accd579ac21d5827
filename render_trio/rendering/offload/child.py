"""What runs inside a drawing process: its limits, one document at a time, and when it is time for a new one."""

from __future__ import annotations

import contextlib
import math
import os
import resource as os_limits
import signal
from dataclasses import dataclass
from pathlib import Path

from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.pipeline import Produce
from resources.content import assets
from resources.request import Request

CPU_MARGIN = 5  # s of CPU time beyond the time limit: the parent kills first, unless it is in trouble itself
EXIT_MEMORY = 86  # the memory limit was reached
# Drawing yields to answering: with all CPUs busy drawing, /health's median fell by half. Not lower, so that drawing
# isn't starved where other programs are busy too.
NICENESS = 5
OOM_SCORE = "500"  # of 1000: should the machine run out of memory, a drawing process goes before the service
OOM_SCORE_FILE = Path("/proc/self/oom_score_adj")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the drawing raised, as text: an exception of any class may not survive the way to another process."""

    text: str


def _never_stop() -> None:
    """The checkpoint between pages: a process is killed instead."""


def begin(memory_limit: int, static: Path | None, templates: Path | None) -> bool:
    """Set up a drawing process: signals are its parent's business, memory is bounded, it dies with its parent."""
    from render_trio.rendering.offload import fork_server

    fork_server.die_with_parent()
    if fork_server.parent_is_gone():
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os_limits.setrlimit(os_limits.RLIMIT_CORE, (0, 0))  # a year of crashes would fill the disk
    if memory_limit:
        _limit(os_limits.RLIMIT_AS, memory_limit)
    with contextlib.suppress(OSError):  # no Linux, or a /proc that can't be written: only a preference
        OOM_SCORE_FILE.write_text(OOM_SCORE)
    os.nice(NICENESS)
    assets.use(static, templates)
    return True


def ready() -> int:
    """Return this process's id: it was started, and takes jobs."""
    return os.getpid()


def attempt(produce: Produce, request: Request, seconds: float) -> FinishedDocument | Complaint:
    """Return the document, or what was raised instead; ends the process when its memory is used up."""
    _allow_cpu(seconds)
    try:
        return produce(request, _never_stop)
    except MemoryError:
        # What else failed on the way is unknown: the next document gets a fresh process.
        os._exit(EXIT_MEMORY)
    except Exception as error:
        return Complaint(f"{type(error).__name__}: {error}")


def _allow_cpu(seconds: float) -> None:
    """Let the kernel end this process (SIGXCPU) when it uses so much more CPU time from now on.

    The limit counts the CPU time of the process's whole life, so it is raised before each document.
    """
    used = os_limits.getrusage(os_limits.RUSAGE_SELF)
    _limit(os_limits.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + seconds) + CPU_MARGIN)


def _limit(which: int, most: int) -> None:
    """Set a limit of this process, that of whoever started the service being the last word."""
    _, hard = os_limits.getrlimit(which)
    os_limits.setrlimit(which, (most if hard == os_limits.RLIM_INFINITY else min(most, hard), hard))


class Retirement:
    """Says, after each document, whether it is time for a new process: by their number, or by memory in use."""

    def __init__(self, jobs: int, memory: int) -> None:
        self._jobs, self._memory = jobs, memory

    def __call__(self) -> bool:
        # trio-parallel sends this object along with each process once: the count is that process's own.
        self._jobs -= 1
        return self._jobs <= 0 or (self._memory > 0 and resident_bytes() > self._memory)


def resident_bytes() -> int:
    """Return the memory in use by this process; where that can't be seen, the most it ever used."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):  # no /proc
        return os_limits.getrusage(os_limits.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os_limits.getpagesize()
