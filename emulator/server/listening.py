"""The listening socket, and the server on it: connections are accepted fairly, and ended in order."""

from __future__ import annotations

import socket
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio.lifespan import Lifespan
from hypercorn.utils import wrap_app

from emulator.server.connections import Closing, serve_connection
from emulator.wire.bodies import Asgi

BACKLOG = 1024
SEND_SECONDS = 20  # that a client may take to accept more of a reply before it is cut off
GRACEFUL_SECONDS = 3
TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)
# How much later a process accepts for each connection that it has: found by trial, it spreads four over two.
DEFERENCE_SECONDS = 0.001
MAX_DEFERENCE = 0.01


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


def address_of(listener: socket.socket) -> str:
    """Return the address (http://host:port) that a listening socket answers at."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class FairListener(trio.abc.Listener[trio.SocketStream]):
    """A socket that several processes accept from: who has fewer connections is the quicker one.

    The kernel wakes all of them, and whoever comes first would often take every connection of a burst.
    """

    def __init__(self, listener: socket.socket, closing: Closing) -> None:
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        self._closing = closing

    async def accept(self) -> trio.SocketStream:
        """Return the next connection."""
        await trio.lowlevel.wait_readable(self._listener.socket)
        await trio.sleep(min(self._closing.open * DEFERENCE_SECONDS, MAX_DEFERENCE))
        return await self._listener.accept()

    async def aclose(self) -> None:
        """Close the socket in this process."""
        await self._listener.aclose()


async def serve_app(
    app: Asgi,
    listener: socket.socket,
    *,
    shared: bool = False,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; then requests that are being answered may end, and those who wait are let go.

    Closes the socket. `shared`: other processes accept from it too.
    """
    lifespan = Lifespan(wrap_app(app, 0, "asgi"), Config(), {})  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        await nursery.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        await _serve_connections(app, listener, shared, task_status)
        nursery.cancel_scope.cancel()


async def _serve_connections(
    app: Asgi, listener: socket.socket, shared: bool, task_status: trio.TaskStatus[None]
) -> None:
    closing = Closing()
    accepting: trio.abc.Listener[trio.SocketStream] = (
        FairListener(listener, closing) if shared else trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    )
    async with trio.open_nursery() as nursery:
        connections = await nursery.start(_hold, closing)
        task_status.started()
        try:
            serve = partial(serve_connection, app, closing)
            await trio.serve_listeners(serve, [accepting], handler_nursery=connections)
        finally:
            closing.begin()


async def _hold(closing: Closing, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    """Hold the connections where no cancellation reaches them; it ends the accepting, and they have a little longer."""
    with trio.CancelScope(shield=True) as scope:
        async with trio.open_nursery() as connections:
            task_status.started(connections)
            await closing.begun.wait()
            scope.deadline = trio.current_time() + GRACEFUL_SECONDS
