"""The queue service in one process or several: with several, child processes that share one listening socket.

The parent does not serve requests. It restarts children that die. It keeps the socket open, so that no connection
is refused while a child restarts, and the other end of each child's standard input, so that no child outlives it.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable

import msgspec
import trio

from emulator.server.listening import address_of, listening_socket
from emulator.server.serving import read_access, serve
from emulator.settings import EmulatorSettings
from emulator.stores.opening import open_store

log = logging.getLogger(__name__)
RESTART_SECONDS = 0.1  # before a dead child is restarted; doubled each time the new one dies within YOUNG_SECONDS
MAX_RESTART_SECONDS = 5.0
YOUNG_SECONDS = 10.0
STOP_SECONDS = 5  # for a child to stop before it is killed; it closes its connections within 3 s


class ChildFailedError(Exception):
    """A child process could not start serving. Its own output contains the reason."""


def run(settings: EmulatorSettings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. Calls `announce` with the address once requests are accepted.

    Raises what `serve` raises, ChildFailedError.
    """
    trio.run(_serve_until_signal, serve if settings.processes == 1 else supervise, settings, announce)


async def _serve_until_signal(
    serving: Callable[..., Awaitable[None]], settings: EmulatorSettings, announce: Callable[[str], None]
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            announce(await nursery.start(serving, settings))
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break


async def supervise(
    settings: EmulatorSettings, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve in child processes until cancelled.

    Reports the address through `task_status` once all children accept requests. Raises what `serve` raises for
    invalid settings, ChildFailedError.
    """
    read_access(settings)
    await trio.to_thread.run_sync(_open_and_close, settings.store)
    with listening_socket(settings.host, settings.port, settings.port_option) as listener:
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as starts:
                for number in range(settings.processes):
                    starts.start_soon(nursery.start, _keep, number, settings, listener)
            task_status.started(address_of(listener))


def _open_and_close(store: str) -> None:
    """Open the store once: reports an invalid URL early, and one process alone migrates the file."""
    open_store(store).close()


async def _keep(
    number: int,
    settings: EmulatorSettings,
    listener: socket.socket,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep one child running: restart it after a pause when it ends."""
    pause, announced = RESTART_SECONDS, False
    while True:
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            process = await nursery.start(_run_child, listener)
            with contextlib.suppress(trio.BrokenResourceError):  # it has ended already
                await process.stdin.send_all(msgspec.json.encode(settings) + b"\n")
            ready = await process.stdout.receive_some()
            if ready and not announced:
                task_status.started()
                announced = True
        if not announced:
            raise ChildFailedError(
                f"process {number} exited with code {process.returncode} before it could serve; see its output"
            )
        pause = (
            RESTART_SECONDS if trio.current_time() - started > YOUNG_SECONDS else min(2 * pause, MAX_RESTART_SECONDS)
        )
        log.warning("process %d exited with code %s, restarting in %.1f s", number, process.returncode, pause)
        await trio.sleep(pause)


async def _run_child(listener: socket.socket, *, task_status: trio.TaskStatus[trio.Process]) -> None:
    """Run one child, which reads its settings from its standard input: arguments are visible to all users.

    It gets its own process group, so that Ctrl-C in a terminal reaches only the parent.
    """
    command = [
        sys.executable,
        "-m",
        "emulator.server.child",
        str(listener.fileno()),
    ]
    await trio.run_process(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[listener.fileno()],
        start_new_session=True,
        check=False,
        deliver_cancel=_stop,
        task_status=task_status,
    )


async def _stop(process: trio.Process) -> None:
    """Terminate the child; kill it if it does not stop in time."""
    process.terminate()
    with trio.move_on_after(STOP_SECONDS):
        await process.wait()
        return
    log.error("process %d did not stop within %d s, killed", process.pid, STOP_SECONDS)
    process.kill()
