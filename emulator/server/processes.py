"""The queue service as one process or several: one listening socket, children that are started anew when they die.

The parent serves nothing itself. It holds the socket, so that no connection is refused while a child is being
replaced, and the other end of each child's standard input, so that none outlives it.
"""

from __future__ import annotations

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
RESTART_SECONDS = 0.1  # before a dead child is replaced; doubled each time that the new one dies young
MAX_RESTART_SECONDS = 5.0
YOUNG_SECONDS = 10.0
END_SECONDS = 5  # that a child may take to end before it is killed; it lets go of clients after 3


class ChildFailedError(Exception):
    """A process could not begin to serve; what it wrote says why."""


def run(settings: EmulatorSettings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is told the address. Raises what `serve` raises, ChildFailedError."""
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
    """Serve in child processes until cancelled; reports the address when all of them answer requests.

    Raises what `serve` raises for bad settings, ChildFailedError.
    """
    read_access(settings)
    await trio.to_thread.run_sync(_open_and_close, settings.store)
    with listening_socket(settings.host, settings.port) as listener:
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as starts:
                for number in range(settings.processes):
                    starts.start_soon(nursery.start, _keep, number, settings, listener)
            task_status.started(address_of(listener))


def _open_and_close(store: str) -> None:
    """Let a bad address be told at once, and a file be brought up to date by one process."""
    open_store(store).close()


async def _keep(
    number: int,
    settings: EmulatorSettings,
    listener: socket.socket,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep one child running."""
    pause, announced = RESTART_SECONDS, False
    while True:
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            process = await nursery.start(_run_child, settings, listener)
            ready = await process.stdout.receive_some()
            if ready and not announced:
                task_status.started()
                announced = True
        if not announced:
            raise ChildFailedError(f"process {number} ended with code {process.returncode} before it could serve")
        pause = RESTART_SECONDS if trio.current_time() - begun > YOUNG_SECONDS else min(2 * pause, MAX_RESTART_SECONDS)
        log.warning("process %d ended with code %s; a new one in %.1f s", number, process.returncode, pause)
        await trio.sleep(pause)


async def _run_child(
    settings: EmulatorSettings, listener: socket.socket, *, task_status: trio.TaskStatus[trio.Process]
) -> None:
    """Run one child to its end. It has a session of its own: the terminal's Ctrl-C reaches the parent only."""
    command = [
        sys.executable,
        "-m",
        "emulator.server.child",
        msgspec.json.encode(settings).decode(),
        str(listener.fileno()),
    ]
    await trio.run_process(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[listener.fileno()],
        start_new_session=True,
        check=False,
        deliver_cancel=_end,
        task_status=task_status,
    )


async def _end(process: trio.Process) -> None:
    """Ask the child to end, and kill it if it doesn't in time."""
    process.terminate()
    with trio.move_on_after(END_SECONDS):
        await process.wait()
        return
    log.error("process %d did not end in %d s; killed", process.pid, END_SECONDS)
    process.kill()
