"""hypercorn on trio, with remedies: one connection's failure ends no other, a client that doesn't read is dropped."""

from __future__ import annotations

import socket

import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio import run as hypercorn_run
from hypercorn.trio import serve as hypercorn_serve
from hypercorn.trio.tcp_server import TCPServer

from render_trio.web.bodies import Asgi

BACKLOG = 1024  # connections that may wait to be accepted: one too many is tried again only after a second
# Each accepts one connection in a round of Trio's: a single one would let a crowd's connections, and whoever asks for
# our health behind them, wait for the requests of those before.
ACCEPTORS = 8
SEND_SECONDS = 20  # that a client may take to accept more of an answer before the kernel drops it
GRACEFUL_SECONDS = 2
HEADER_BYTES = 32 * 1024
KEEP_ALIVE_SECONDS = 15
TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)  # Linux; not named by every Python
log = structlog.get_logger(__name__)


class GuardedServer(TCPServer):
    """A connection whose failure is logged, and ends nothing but itself."""

    async def run(self) -> None:
        """Serve the connection to its end."""
        try:
            await super().run()
        except* Exception as group:
            log.warning("a connection failed", error=repr(group.exceptions[0]))


# hypercorn makes its connections by this name, and offers no other way to say which class.
hypercorn_run.TCPServer = GuardedServer  # type: ignore[attr-defined]


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, SEND_SECONDS * 1000)
        listener.bind((host.strip("[]"), port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket, host: str) -> str:
    """Return the address that the socket answers at, as a URL."""
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


async def serve(app: Asgi, listener: socket.socket, *, task_status: trio.TaskStatus[None]) -> None:
    """Serve the application on a copy of the socket until cancelled; can be called again after a failure."""
    config = Config()
    # hypercorn closes the descriptors that it is given.
    config.bind = [f"fd://{listener.dup().detach()}" for _ in range(ACCEPTORS)]
    config.backlog = BACKLOG  # hypercorn listens anew, with its own otherwise
    config.graceful_timeout = GRACEFUL_SECONDS
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.h11_max_incomplete_size = HEADER_BYTES
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_started, app, config)
        task_status.started()


async def _started(app: Asgi, config: Config, *, task_status: trio.TaskStatus[list[str]]) -> None:
    await hypercorn_serve(app, config, mode="asgi", task_status=task_status)  # type: ignore[arg-type]
