"""Run a module with a wall clock that can jump: the file `CLOCK_FILE` contains its offset in seconds.

usage: CLOCK_FILE=… python -m tests.shifted_clock MODULE [arguments]; on SIGUSR1, it reads the file again.
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
    """Make the wall clock of this process follow the file."""
    offset = 0

    def read_offset(*_: object) -> None:
        nonlocal offset
        offset = int(file.read_text())

    read_offset()
    signal.signal(signal.SIGUSR1, read_offset)
    time.time = lambda: _time() + offset
    time.time_ns = lambda: _time_ns() + offset * 10**9


if __name__ == "__main__":
    install(Path(os.environ["CLOCK_FILE"]))
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
