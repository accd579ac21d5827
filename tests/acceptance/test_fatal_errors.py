"""A service that can't recover exits with code 1 and its reason, whatever failed, and however deep in nurseries.

Python before 3.11.4 (Debian 12 has 3.11.2) puts an exception that is raised in `except*` in one more group. `NESTED`
does the same to the exceptions here, on any version.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.processes import environment

NESTED = """
from render_trio.errors import FatalError
from render_trio.observation import metrics
def nested(depth):
    error = FatalError('nothing helps')
    for _ in range(depth):
        error = ExceptionGroup('Exceptions from Trio nursery', [error])
    return error
metrics.Metrics.restarted = lambda self, name: print('restart counted', name, flush=True)
"""
RUN = "\nimport sys; from render_trio.cli.commands import main; main(sys.argv[1:], prog_name='render-trio')"
FAULTS = {
    "a worker": (
        "from render_trio.worker import worker\n"
        "async def fail(self, heartbeat): raise nested({depth})\n"
        "worker.Worker.run = fail",
        "nothing helps",
    ),
    "drawing": (
        "from render_trio.rendering.offload import thread\n"
        "from render_trio.service import service\n"
        "async def fail(self): await self._offload.make(None, 1.0)\n"
        "async def hang(self, request, seconds): raise nested({depth})\n"
        "thread.ThreadOffload.make = hang\n"
        "service.Service.run_workers = fail",
        "nothing helps",
    ),
    "the recovery": (
        "from render_trio.service import service\n"
        "async def fail(health, stopping, give_up): raise nested({depth})\n"
        "service.watch_recovery = fail",
        "nothing helps",
    ),
    "the web server": (
        "from render_trio.web.server import self_check\n"
        "async def fail(*arguments, task_status): raise nested({depth})\n"
        "self_check.serve = fail",
        "nothing helps",
    ),
    "starting a render process": (
        "import multiprocessing.forkserver as forkserver\n"
        "def fail(): raise OSError(11, 'too many processes')\n"
        "forkserver.ensure_running = fail",
        "no drawing process can be started: BlockingIOError: [Errno 11] too many processes",
    ),
}


def run(program: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", NESTED + program + RUN, *arguments]
    return subprocess.run(
        command, env=environment(**settings), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def isolation(fault: str) -> str:
    return "process" if "process" in fault else "thread"


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fatal_error_ends_the_service_with_its_reason(fault: str, depth: int) -> None:
    program, reason = FAULTS[fault]
    ended = run(
        program.replace("{depth}", str(depth)),
        "serve",
        PORT="0",
        QUEUE_URL="http://127.0.0.1:1",
        RENDER_ISOLATION=isolation(fault),
        RENDER_WORKERS="2",
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert [line["reason"] for line in lines if line["event"] == "exiting for restart"] == [reason]
    assert [line for line in lines if line["event"] == "worker restarting"] == []
    assert "Exceptions from" not in ended.stderr
    assert "exception" not in {key for line in lines for key in line}
    assert ended.stdout == ""  # no restart was counted


@pytest.mark.parametrize("depth", [0, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fatal_error_ends_queue_and_service_together(fault: str, depth: int, tmp_path: Path) -> None:
    program, reason = FAULTS[fault]
    arguments = ("up", "--port", "0", "--queue-port", "0", "--data", str(tmp_path))
    ended = run(program.replace("{depth}", str(depth)), *arguments, RENDER_ISOLATION=isolation(fault))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"Error: {reason}"
    assert "Traceback" not in ended.stderr
    assert "restart counted" not in ended.stdout


def test_a_fatal_error_ends_the_demo_with_its_reason(tmp_path: Path) -> None:
    program, reason = FAULTS["a worker"]
    ended = run(program.replace("{depth}", "2"), "demo", "--out", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"Error: {reason}"
    assert "Traceback" not in ended.stderr
