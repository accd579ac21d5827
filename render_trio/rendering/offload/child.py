"""The code that runs inside a drawing process: its limits, one document at a time, and when to replace it."""

from __future__ import annotations

import contextlib
import math
import os
import resource as os_limits
import signal
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from render_trio.errors import loggable
from render_trio.observation.private_logs import warning_text
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.pipeline import Produce
from resources import registry
from resources.content import assets
from resources.request import Request

CPU_MARGIN = 5  # s of CPU time beyond the time limit: the parent kills first, unless it is in trouble itself
EXIT_MEMORY = 86  # exit code: the memory limit was reached
# Responding takes precedence over drawing: with all CPUs busy drawing, this halved the median time of /health. Not
# higher, so that drawing still gets its share when other programs are busy too.
NICENESS = 5
OOM_SCORE = "500"  # of 1000: if the machine runs out of memory, a drawing process is killed before the service
OOM_SCORE_FILE = Path("/proc/self/oom_score_adj")


@dataclass(frozen=True, slots=True)
class DrawingFailure:
    """The exception of a failed render, as text: not every exception survives pickling. See RenderTrioError."""

    text: str
    loggable: str


def _no_checkpoint() -> None:
    """Do nothing between pages: a process is killed instead."""


def set_up(memory_limit: int, static: Path | None, templates: Path | None, plugins: tuple[Path, ...]) -> bool:
    """Prepare a drawing process: it ignores signals, its memory is bounded in bytes, and it dies with its parent.

    `plugins`: the folders whose resources its parent added to the catalogue.
    """
    from render_trio.rendering.offload import fork_server

    fork_server.die_with_parent()
    if fork_server.parent_is_gone():
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os_limits.setrlimit(os_limits.RLIMIT_CORE, (0, 0))  # a year of crashes would fill the disk with core dumps
    if memory_limit:
        _set_limit(os_limits.RLIMIT_AS, memory_limit)
    with contextlib.suppress(OSError):  # not Linux, or /proc is read-only: this is only a preference
        OOM_SCORE_FILE.write_text(OOM_SCORE)
    os.nice(NICENESS)
    warnings.showwarning = _show_warning
    sys.unraisablehook = _show_unraisable
    assets.use(static, templates)
    for folder in plugins:
        registry.add_folder(folder)
    return True


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(warning_text(message, category, filename, lineno), file=file or sys.stderr)


def _show_unraisable(arguments: sys.UnraisableHookArgs) -> None:
    error = arguments.exc_value
    print("unraisable exception:", "unknown" if error is None else loggable(error), file=sys.stderr)


def ready() -> int:
    """Return the ID of this process, to show that it has started and accepts jobs."""
    return os.getpid()


def attempt(produce: Produce, request: Request, seconds: float) -> FinishedDocument | DrawingFailure:
    """Return the document or the failure. Exits the process if it runs out of memory."""
    _allow_cpu(seconds)
    try:
        return produce(request, _no_checkpoint)
    except MemoryError:
        # Other things may have failed before this was raised: the next document gets a new process.
        os._exit(EXIT_MEMORY)
    except Exception as error:
        return DrawingFailure(f"{type(error).__name__}: {error}", loggable(error))


def _allow_cpu(seconds: float) -> None:
    """Make the kernel end this process (SIGXCPU) if it uses `seconds` and CPU_MARGIN of CPU time from now on.

    The limit applies to the CPU time of the process's whole life, so it is raised before each document.
    """
    used = os_limits.getrusage(os_limits.RUSAGE_SELF)
    _set_limit(os_limits.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + seconds) + CPU_MARGIN)


def _set_limit(which: int, limit: int) -> None:
    """Set a limit of this process, within the hard limit that it inherited."""
    _, hard = os_limits.getrlimit(which)
    os_limits.setrlimit(which, (limit if hard == os_limits.RLIM_INFINITY else min(limit, hard), hard))


class Retirement:
    """Decides after each document whether to replace the process: by the number of jobs, or by the memory in use."""

    def __init__(self, jobs: int, memory: int) -> None:
        self._jobs, self._memory = jobs, memory

    def __call__(self) -> bool:
        # trio-parallel sends a copy of this object to each process once, so the count is per process.
        self._jobs -= 1
        return self._jobs <= 0 or (self._memory > 0 and resident_bytes() > self._memory)


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes, or its peak where the current value is unavailable."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):  # no /proc
        return os_limits.getrusage(os_limits.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os_limits.getpagesize()
