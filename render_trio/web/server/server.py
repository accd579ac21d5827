"""Serves the application with hypercorn's building blocks: a listening socket, limits, and isolated connections."""

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

ACCEPTORS = 8  # each accepts one connection per pass of Trio's scheduler: with one, a probe waits behind a burst
MAX_CONNECTIONS = 500  # at once; many systems allow 1,024 descriptors
RESERVED_DESCRIPTORS = 128  # for the connections to the queue, files, and render processes
HEADER_BYTES = 32 * 1024


def connection_limit() -> int:
    """Return the number of connections that the file descriptors of this process are enough for."""
    try:
        import resource  # not on Windows
    except ImportError:
        return MAX_CONNECTIONS
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, descriptors - min(RESERVED_DESCRIPTORS, descriptors // 2)))


async def serve(
    app: Asgi, listener: socket.socket, keep_alive: float, *, task_status: trio.TaskStatus[Connections]
) -> None:
    """Serve the application on a copy of the socket until cancelled. Can be called again after a failure.

    `keep_alive` is the time in s between two requests on a connection, and for the headers of a request to arrive.

    Reports the connections as started once it accepts requests.
    """
    config = Config()
    config.keep_alive_timeout = keep_alive
    config.h11_max_incomplete_size = HEADER_BYTES
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")  # receives the application's uncaught exceptions
    wrapped = wrap_app(app, config.wsgi_max_body_size, "asgi")  # type: ignore[arg-type]
    state: LifespanState = {}
    context = WorkerContext(None)
    connections = Connections(connection_limit())

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
