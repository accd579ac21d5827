"""The application on hypercorn: settings, listening socket, start and stop.

hypercorn on trio needs three remedies: an exception in one connection must not end the server, a client
that doesn't read must not hold up the shutdown (both here), and a body must be read before the answer
(bodies.py).
"""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio
from hypercorn.config import Config
from hypercorn.trio import run as hypercorn_run
from hypercorn.trio import serve as hypercorn_serve
from hypercorn.trio.tcp_server import TCPServer

from emulator.access import Access
from emulator.app import create_app
from emulator.bodies import Asgi
from emulator.queue_file import read_queue_file
from emulator.store import open_store
from emulator.tokens import read_token_file

log = logging.getLogger(__name__)
BACKLOG = 1024
SEND_SECONDS = 20  # that a client may take to accept more of a reply before it is cut off
GRACEFUL_SECONDS = 3
TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """Where the queue listens and where its tasks lie. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 5052
    store: str = "sqlite:///queue.sqlite3"
    queue_file: str | None = None
    token_file: str | None = None
    test_verbs: bool = False

    def access(self) -> Access:
        """Return who may do what, by the files. Raises QueueFileError, TokenFileError, OSError."""
        return Access(
            read_queue_file(Path(self.queue_file)) if self.queue_file else None,
            read_token_file(Path(self.token_file)) if self.token_file else None,
            self.test_verbs,
        )


class GuardedServer(TCPServer):
    """A connection whose failure is logged, and ends nothing but itself."""

    async def run(self) -> None:
        """Serve the connection to its end."""
        try:
            await super().run()
        except* Exception as group:
            log.warning("a connection failed: %r", group.exceptions[0])


# Hypercorn makes its connections by this name and offers no other way to say which class.
hypercorn_run.TCPServer = GuardedServer  # type: ignore[attr-defined]


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; a client that stops reading is dropped by the kernel. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, SEND_SECONDS * 1000)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(settings: EmulatorSettings, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve until cancelled; reports the address (http://host:port) when requests are answered.

    Raises OSError when the port is taken, ValueError or StoreUnavailableError for a bad store.
    """
    access = settings.access()
    store = await trio.to_thread.run_sync(open_store, settings.store)
    listener = listening_socket(settings.host, settings.port)
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown}:{listener.getsockname()[1]}"
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.graceful_timeout = GRACEFUL_SECONDS
    config.keep_alive_timeout = 60
    config.h11_max_incomplete_size = 32 * 1024
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(_serve_app, create_app(store, access), config)
            task_status.started(address)
    finally:
        listener.detach()  # hypercorn closed the descriptor, or the process ends
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)


async def _serve_app(app: Asgi, config: Config, *, task_status: trio.TaskStatus[list[str]]) -> None:
    await hypercorn_serve(app, config, mode="asgi", task_status=task_status)  # type: ignore[arg-type]


async def _serve_until_signal(settings: EmulatorSettings, announce: Callable[[str], None]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            announce(await nursery.start(serve, settings))
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break


def run(settings: EmulatorSettings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is told the address. Raises what `serve` raises."""
    trio.run(_serve_until_signal, settings, announce)
