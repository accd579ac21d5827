"""A listening socket → served connections, which are accepted fairly and closed in order."""

from __future__ import annotations

import contextlib
import errno
import socket
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio.lifespan import Lifespan
from hypercorn.utils import wrap_app

from emulator.server.connections import OpenConnections, serve_connection
from emulator.wire.bodies import Asgi

BACKLOG = 1024
SEND_SECONDS = 20  # without progress in sending, after which a client is disconnected
GRACEFUL_SECONDS = 3  # for replies in progress when the server closes
TCP_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 18)
# A process delays accepting by this for each open connection. Found by trial: it distributes four over two processes.
ACCEPT_DELAY_SECONDS = 0.001
MAX_ACCEPT_DELAY = 0.01


class ListenError(Exception):
    """The queue can't listen. The message names the option, its value, the cause, and what to do."""

    def __init__(self, host: str, port: int, port_option: str, error: OSError) -> None:
        super().__init__(_cause(host, port, port_option, error))


def _cause(host: str, port: int, port_option: str, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"--host is {host!r}: the name has no address; set the name or an address of this machine"
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"{port_option} is {port}: port {port} is in use by another program; stop it or choose another "
                f"{port_option}"
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"{port_option} is {port}: this user may not listen on port {port} (ports below 1024 need a "
                f"privilege); choose another {port_option}"
            )
        case errno.EADDRNOTAVAIL:
            return f"--host is {host!r}: this machine has no such address; set one of its own, or 0.0.0.0 for all"
        case errno.EAFNOSUPPORT:
            return f"--host is {host!r}: this machine has no IPv6; set an IPv4 address"
    return f"--host is {host!r} and {port_option} is {port}: listening failed: {error.strerror or error}"


def listening_socket(host: str, port: int, port_option: str = "--port") -> socket.socket:
    """Return a listening socket. The kernel drops connections of clients that stop reading.

    Raises ListenError, which calls the port `port_option`.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(host, port, port_option, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # WSL 1 and macOS don't have it; a client that stops reading stays longer
            listener.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, SEND_SECONDS * 1000)
        listener.bind((host.strip("[]"), port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ListenError(host, port, port_option, error) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address (http://host:port) of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class FairListener(trio.abc.Listener[trio.SocketStream]):
    """A socket from which several processes accept; a process with fewer connections accepts sooner.

    The kernel wakes all processes, and without a delay the first one would often accept a whole burst.
    """

    def __init__(self, listener: socket.socket, connections: OpenConnections) -> None:
        self._socket = listener
        self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
        self._connections = connections

    async def accept(self) -> trio.SocketStream:
        """Return the next connection."""
        while True:
            await trio.lowlevel.wait_readable(self._listener.socket)
            await trio.sleep(min(self._connections.count * ACCEPT_DELAY_SECONDS, MAX_ACCEPT_DELAY))
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue  # another process has accepted it, or the client has gone; the next one is delayed again
            return trio.SocketStream(trio.socket.from_stdlib_socket(accepted))

    async def aclose(self) -> None:
        """Close the socket in this process."""
        await self._listener.aclose()


async def serve_app(
    app: Asgi,
    listener: socket.socket,
    connections: OpenConnections,
    *,
    shared: bool = False,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled. Then complete the replies in progress and close all other connections.

    Closes the socket. `shared` means that other
    processes accept from the socket too.
    """
    lifespan = Lifespan(wrap_app(app, 0, "asgi"), Config(), {})  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        await nursery.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        await _serve_connections(app, listener, connections, shared, task_status)
        nursery.cancel_scope.cancel()


async def _serve_connections(
    app: Asgi,
    listener: socket.socket,
    connections: OpenConnections,
    shared: bool,
    task_status: trio.TaskStatus[None],
) -> None:
    accepting: trio.abc.Listener[trio.SocketStream] = (
        FairListener(listener, connections) if shared else trio.SocketListener(trio.socket.from_stdlib_socket(listener))
    )
    async with trio.open_nursery() as nursery:
        handlers = await nursery.start(_open_handler_nursery, connections)
        task_status.started()
        try:
            serve = partial(serve_connection, app, connections)
            await trio.serve_listeners(serve, [accepting], handler_nursery=handlers)
        finally:
            connections.close()


async def _open_handler_nursery(connections: OpenConnections, *, task_status: trio.TaskStatus[trio.Nursery]) -> None:
    """Run the connections in a shielded nursery: cancellation stops accepting, replies get GRACEFUL_SECONDS more."""
    with trio.CancelScope(shield=True) as scope:
        async with trio.open_nursery() as handlers:
            task_status.started(handlers)
            await connections.closing.wait()
            scope.deadline = trio.current_time() + GRACEFUL_SECONDS
