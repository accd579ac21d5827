"""The life cycle of drawing processes: how they start and end, and that nothing is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import pytest
import trio
from trio._core import _thread_cache

from render_trio.errors import FatalError
from render_trio.observation.metrics import Metrics
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.process import ProcessOffload, process_offload
from resources.request import Request
from tests.bench.killed import Remains, kill_many
from tests.conftest import ROOT
from tests.render_trio.rendering.test_offload import REQUEST, offload, process_of, return_process_id

__all__ = ["offload"]


def take_a_second(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
    time.sleep(1)
    return return_process_id(request, checkpoint)


async def gone(process: int) -> None:
    with trio.fail_after(20):
        while os.path.exists(f"/proc/{process}"):  # noqa: ASYNC110, ASYNC240, PTH110 - no notification
            await trio.sleep(0.01)


async def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
    await gone(process)


async def test_a_render_may_take_longer_than_the_idle_timeout_of_a_thread_pool(
    offload: ProcessOffload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent death signal is sent when the thread that started the process exits: for a pool, after 10 s idle."""
    monkeypatch.setattr(_thread_cache, "IDLE_TIMEOUT", 0.1)
    offload._produce = take_a_second
    assert (await offload.make(REQUEST, 30)).pages == 0


async def test_idle_processes_can_be_killed_without_harm(offload: ProcessOffload) -> None:
    first = await process_of(offload)
    await kill(first)
    await kill(await process_of(offload))  # leaving the context with a dead process in it is no error either


async def test_a_killed_fork_server_is_restarted(offload: ProcessOffload) -> None:
    first = await process_of(offload)
    server = forkserver._forkserver._forkserver_pid
    os.kill(server, signal.SIGKILL)
    await gone(first)  # killed by the kernel with its parent
    assert await process_of(offload) != first
    assert forkserver._forkserver._forkserver_pid != server


def test_drawing_processes_do_not_run_the_command_again(tmp_path: Path) -> None:
    """An installed command is a script without a suffix, which multiprocessing would import in each process."""
    command = tmp_path / "render-trio"
    command.write_text(
        "print('the command runs', flush=True)\n"
        "if __name__ == '__main__':\n"
        "    import trio\n"
        "    from render_trio.observation.metrics import Metrics\n"
        "    from render_trio.rendering.offload.process import process_offload\n"
        "    from tests.render_trio.rendering import test_offload as t\n"
        "    async def main():\n"
        "        given = {'memory_limit': 0, 'jobs_per_process': 1, 'recycle_memory': 0}\n"
        "        async with process_offload(Metrics(), 1, **given) as offload:\n"
        "            for _ in range(2): await t.process_of(offload)\n"
        "    trio.run(main)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, str(command)], env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "the command runs\n"), ended.stderr


def test_a_killed_service_leaves_no_drawing_process() -> None:
    """Not even a process in an endless loop."""
    code = (
        "import trio\n"
        "from render_trio.observation.metrics import Metrics\n"
        "from render_trio.rendering.offload.process import process_offload\n"
        "from tests.render_trio.rendering import test_offload as t\n"
        "async def main():\n"
        "    async with process_offload(Metrics(), 1, memory_limit=0, jobs_per_process=9, recycle_memory=0) as one:\n"
        "        print(await t.process_of(one), flush=True)\n"
        "        one._produce = t.loop_forever\n"
        "        await one.make(t.REQUEST, 60)\n"
        "trio.run(main)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        drawing = int(service.stdout.readline())
        status = Path(f"/proc/{drawing}/stat")
        deadline = time.monotonic() + 30
        while status.read_text().rpartition(")")[2].split()[0] != "R" and time.monotonic() < deadline:
            time.sleep(0.01)
        service.kill()
        service.wait()
        while status.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not status.exists()


async def test_killed_renders_leave_no_process_thread_or_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The long version: scripts/bench killed --count 1000."""
    monkeypatch.setattr(_thread_cache, "IDLE_TIMEOUT", 0.2)
    assert await kill_many(60) == Remains(0, 0, 0)


async def test_startup_fails_if_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(forkserver, "ensure_running", refuse)
    with pytest.raises(FatalError, match=r"no drawing process can be started: FileNotFoundError: .* No usable temp"):
        async with process_offload(Metrics(), 1, memory_limit=0, jobs_per_process=9, recycle_memory=0):
            raise AssertionError
