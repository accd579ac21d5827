"""Run a module with a wall clock that can jump: `CLOCK_FILE` holds the seconds that it is ahead.

usage: CLOCK_FILE=… python -m tests.shifted_clock MODULE [arguments]; SIGUSR1 makes it look at the file again.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import time
from pathlib import Path

_time, _time_ns = time.time, time.time_ns


def install(file: Path) -> None:
    """Let this process's wall clock follow the file."""
    ahead = 0

    def look(*_: object) -> None:
        nonlocal ahead
        ahead = int(file.read_text())

    look()
    signal.signal(signal.SIGUSR1, look)
    time.time = lambda: _time() + ahead
    time.time_ns = lambda: _time_ns() + ahead * 10**9


if __name__ == "__main__":
    install(Path(os.environ["CLOCK_FILE"]))
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
