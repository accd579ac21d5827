"""The first process of a container reaps what it inherits, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import trio

from render_trio.service import orphans
from tests.conftest import ROOT
from tests.processes import environment

# Three children have ended, and one still runs; multiprocessing waits for two of them.
PROGRAM = """
import os, signal, sys
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from render_trio.service import orphans

def child(run=os._exit):
    started = os.fork()
    if not started:
        run(0)
        os._exit(0)
    return started

def pause(_):
    signal.pause()

ended, server, tracker, running = child(), child(), child(), child(pause)
forkserver._forkserver._forkserver_pid = server
resource_tracker._resource_tracker._pid = tracker
for process in (ended, server, tracker):
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
orphans.reap()
orphans.reap()
print(*(name for name in ("ended", "server", "tracker", "running") if Path(f"/proc/{globals()[name]}").exists()))
os.kill(running, signal.SIGKILL)
for process in (server, tracker, running):
    os.waitpid(process, 0)
forkserver._forkserver._forkserver_pid = resource_tracker._resource_tracker._pid = None
"""


def test_only_orphans_that_have_ended_are_reaped() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stderr == ""
    assert ended.stdout.split() == ["server", "tracker", "running"]


async def test_another_process_than_the_first_reaps_nothing() -> None:
    with trio.fail_after(5):
        await orphans.reap_orphans(0.0)
