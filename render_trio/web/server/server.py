"""The web application on hypercorn's parts: a listening socket, limits, connections that fail by themselves."""

from __future__ import annotations

import logging
import socket

import trio
from hypercorn.config import Config
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState, LifespanState
from hypercorn.utils import wrap_app

from render_trio.web.server.connection import Connection, Connections
from render_trio.web.server.request_limits import Asgi

BACKLOG = 1024  # connections that may wait to be accepted: one too many is tried again only after a second
ACCEPTORS = 8  # each takes in one connection a round of Trio's: a probe behind a crowd would wait for all before it
MAX_CONNECTIONS = 500  # at once; below the 1,024 descriptors that many systems grant, the queue's connections apart
ACKNOWLEDGE_SECONDS = 20  # that a client's host may be silent before the kernel gives it up
HEADER_BYTES = 32 * 1024
KEEP_ALIVE_SECONDS = 15.0  # between two requests, and from a connection's first byte to the end of its headers
TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)  # Linux; not named by every Python


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, ACKNOWLEDGE_SECONDS * 1000)
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


async def serve(app: Asgi, listener: socket.socket, *, task_status: trio.TaskStatus[Connections]) -> None:
    """Serve the application on a copy of the socket until cancelled; can be called again after a failure.

    Reports the connections when requests are answered.
    """
    config = Config()
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.h11_max_incomplete_size = HEADER_BYTES
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")  # where an application's failure is told
    wrapped = wrap_app(app, config.wsgi_max_body_size, "asgi")  # type: ignore[arg-type]
    state: LifespanState = {}
    context = WorkerContext(None)
    connections = Connections(MAX_CONNECTIONS)

    async def serve_connection(stream: trio.SocketStream) -> None:
        await Connection(wrapped, config, context, ConnectionState(state.copy()), stream, connections).run()

    async with trio.open_nursery() as outer:
        lifespan = Lifespan(wrapped, config, state)
        await outer.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        async with trio.open_nursery() as open_connections:
            acceptors = [trio.SocketListener(trio.socket.from_stdlib_socket(listener.dup())) for _ in range(ACCEPTORS)]
            task_status.started(connections)
            try:
                await trio.serve_listeners(serve_connection, acceptors, handler_nursery=open_connections)
            finally:
                connections.end()
