"""Shutdown is orderly and bounded in time, and leaves every task finished or free to be leased."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.test_promises import Stage, payload, stage
from tests.conftest import ROOT
from tests.processes import environment, queue

__all__ = ["stage"]

LIMIT = 15  # s


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_under_full_load_every_task_is_finished_or_free_immediately(
    stage: Stage, tmp_path: Path, isolation: str, number: signal.Signals
) -> None:
    ids = {f"task-{index:03}" for index in range(90)}
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        client = stage.client(running)
        for task_id in sorted(ids):
            client.insert(task_id, payload("searching_cards", copies=3, max_number=999, seed=task_id))
        service = stage.service(running, RENDER_WORKERS=4, RENDER_ISOLATION=isolation, SHUTDOWN_SECONDS=LIMIT)
        early = client.take(10)
        begun = time.monotonic()
        assert service.end(number) == 0, (tmp_path / "log").read_text()
        assert time.monotonic() - begun < LIMIT
        free = client.lease_all()
        finished = [result.task_id for _, result in early + client.take(len(ids) - len(free) - len(early))]
    assert free, "the service was not under load"
    assert len(free) + len(finished) == len(ids)
    assert set(free) | set(finished) == ids


def test_a_signal_to_the_whole_process_group_kills_no_render(stage: Stage, tmp_path: Path) -> None:
    """Process managers signal the whole group; render processes and their fork server ignore the signal."""
    own_group = "import os; os.setsid(); from render_trio.cli.commands import main; main(['serve'])"
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        client = stage.client(running)
        for index in range(40):
            client.insert(f"task-{index}", payload("searching_cards", copies=20, max_number=999, seed=index))
        service = stage.service(running, program=("-c", own_group), RENDER_WORKERS=4, RENDER_ISOLATION="process")
        finished = client.take(4)
        os.killpg(service.process.pid, signal.SIGTERM)
        assert service.process.wait(40) == 0
        free = client.lease_all()
        finished += client.take(40 - len(free) - len(finished))
    assert len(free) + len(finished) == 40
    assert all(result.success for _, result in finished)
    log = (tmp_path / "log").read_text()
    assert "draining" in log
    assert "attempt failed" not in log


def test_a_render_that_exceeds_the_drain_time_is_released(stage: Stage, tmp_path: Path) -> None:
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        client = stage.client(running)
        client.insert("hang", payload("parity_cards", header_text="hang"))
        settings = {"RENDER_ISOLATION": "process", "RENDER_WORKERS": 1, "SHUTDOWN_SECONDS": 8}
        service = stage.service(running, program=("-m", "tests.faulty_service"), **settings)
        client.wait_until_leased("hang")
        assert service.end() == 0, (tmp_path / "log").read_text()
        assert client.lease_all() == ["hang"]


def test_clients_that_never_read_do_not_delay_shutdown(stage: Stage, tmp_path: Path) -> None:
    """Their responses fill every buffer, and the server waits in a send that can't be cancelled."""
    with ExitStack() as stack, queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        service = stage.service(running, SHUTDOWN_SECONDS=LIMIT)
        host, port = service.address.removeprefix("http://").split(":")
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(1)
            client.connect((host, int(port)))
            flood(client)
        begun = time.monotonic()
        assert service.end() == 0, (tmp_path / "log").read_text()
        assert time.monotonic() - begun < LIMIT


def flood(client: socket.socket) -> None:
    """Send requests until the server reads no more, so that the responses exceed all buffers."""
    try:
        while True:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
    except TimeoutError:
        return


def command_with(patch: str, seconds: float) -> list[str]:
    """Return a command that executes `patch`, then runs the service with SHUTDOWN_SECONDS set to `seconds`."""
    code = (
        "import os, signal, sys, time, trio\n"
        "from render_trio import errors\n"
        "from render_trio.service import composition, process, service, shutdown\n"
        "from render_trio.supervision import recovery\n"
        "from render_trio.settings.settings import Settings\n"
        f"{patch}\n"
        f"sys.exit(process.main(Settings(port=0, shutdown_seconds={seconds})))"
    )
    return [sys.executable, "-c", code]


def run_patched(patch: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
    """Run the service with a patch until it exits."""
    command = command_with(patch, seconds)
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=60)


BEFORE_SIGNALS_ARE_RECEIVED = (
    "receive = shutdown.Signals.receive\n"
    "async def receive_late(self, *arguments, **options):\n"
    "    os.kill(os.getpid(), signal.{number})\n"
    "    await receive(self, *arguments, **options)\n"
    "shutdown.Signals.receive = receive_late"
)
BEFORE_THE_WEB_SERVER_LISTENS = "service.assets.use = lambda *_: os.kill(os.getpid(), signal.{number})"


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("patch", [BEFORE_SIGNALS_ARE_RECEIVED, BEFORE_THE_WEB_SERVER_LISTENS], ids=["early", "late"])
def test_a_signal_during_startup_shuts_the_service_down(patch: str, number: str) -> None:
    ended = run_patched(patch.format(number=number))
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line)["event"] for line in ended.stderr.splitlines()]
    assert {"shutdown requested", "draining", "started", "stopped"} <= set(events)
    assert "Traceback" not in ended.stderr


def test_a_worker_that_can_not_be_cancelled_does_not_keep_the_process_alive() -> None:
    ended = run_patched(
        "async def work(self, heartbeat):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    with trio.CancelScope(shield=True): await trio.sleep_forever()\n"
        "service.Service._work = work",
        seconds=2,
    )
    assert ended.returncode == 70, ended.stderr


def test_an_unrecoverable_failure_exits_although_a_worker_is_wedged() -> None:
    ended = run_patched(
        "begun = []\n"
        "async def work(self, heartbeat):\n"
        "    begun.append(1)\n"
        "    if len(begun) == 1:\n"
        "        with trio.CancelScope(shield=True): await trio.sleep_forever()\n"
        "    raise errors.FatalError('nothing helps')\n"
        "service.Service._work = work",
        seconds=2,
    )
    assert ended.returncode == 1, ended.stderr
    assert '"reason": "nothing helps"' in ended.stderr


def test_a_blocked_event_loop_exits_with_a_traceback() -> None:
    ended = run_patched(
        "async def work(self, heartbeat): time.sleep(60)\n"
        "service.Service._work = work\n"
        "process.watch_loop = lambda: shutdown.watch_loop(0.5)"
    )
    assert ended.returncode == 1, ended.stderr
    assert "in work" in ended.stderr


def test_being_unhealthy_for_too_long_exits() -> None:
    ended = run_patched(
        "recovery.RECOVERY_SECONDS, recovery.POLL_INTERVAL = 0.3, 0.1\ncomposition.ThreadOffload.abandoned = 2"
    )
    assert ended.returncode == 1, ended.stderr
    assert "for 0 s: 4 " in ended.stderr


def test_a_second_signal_exits_immediately() -> None:
    ended = run_patched(
        "async def work(self, heartbeat):\n"
        "    for _ in range(2): os.kill(os.getpid(), signal.SIGTERM); await trio.sleep(0.3)\n"
        "    await trio.sleep_forever()\n"
        "service.Service._work = work"
    )
    assert ended.returncode == 130, ended.stderr
