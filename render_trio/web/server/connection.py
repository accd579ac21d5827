"""One connection of the web server: hypercorn's HTTP/1.1, with the limits that it lacks.

With hypercorn on Trio (0.18), an exception in one connection ends the whole server, sending has no timeout and can't be
cancelled, and a connection stays open for ever if the response was sent before the request body was read. Here an
exception ends only its own connection, a client that doesn't read is disconnected, and a closed connection is released.
HTTP/2 and websockets are not supported: nothing here needs them, and an absent protocol can't be abused.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import h11
import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from render_trio.errors import first_error, loggable
from render_trio.web.access.clients import client_name
from render_trio.web.server.request_limits import SECURITY_HEADERS

SEND_SECONDS = 20.0  # that a client may take to accept one chunk of a response
LAST_SEND_SECONDS = 1.0  # the same, during shutdown
log = structlog.get_logger(__name__)


class Connections:
    """The open connections, oldest first. At the limit, a new connection closes one of the client with the most.

    Of that client's connections, the one that has been idle longest is closed, or the oldest if none is idle: a client
    that opens many closes its own, not those of others. A connection is idle while it has no request in progress.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[Connection, None] = {}
        self._idle: dict[Connection, None] = {}
        self.closing = False

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> None:
        """Add a connection, which is idle. If there are too many, close another one."""
        while len(self._open) >= self._limit:
            closed = self._least_needed()
            self.dismiss(closed)
            closed.hurry()
            closed.scope.cancel(reason="too many connections")
        self._open[connection] = None
        self._idle[connection] = None

    def _least_needed(self) -> Connection:
        numbers = Counter(connection.client for connection in self._open)
        greediest = max(numbers.values())
        crowd = [connection for connection in (*self._idle, *self._open) if numbers[connection.client] == greediest]
        return crowd[0]

    def update(self, connection: Connection, *, idle: bool) -> None:
        """Note that a request on the connection has begun, or that its last one has ended."""
        self._idle.pop(connection, None)
        if idle and connection in self._open:
            self._idle[connection] = None

    def dismiss(self, connection: Connection) -> None:
        """Remove a connection that has ended."""
        self._open.pop(connection, None)
        self._idle.pop(connection, None)

    def end(self) -> None:
        """Begin the shutdown: disconnect clients that don't read within LAST_SEND_SECONDS."""
        self.closing = True
        for connection in self._open:
            connection.hurry()


class Connection(TCPServer):
    """One connection, from accept to close."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        state: ConnectionState,
        stream: trio.SocketStream,
        connections: Connections,
    ) -> None:
        super().__init__(app, config, context, state, stream)  # type: ignore[arg-type]
        self._connections = connections
        self._socket_stream = stream
        self.client = _client_of(stream)
        self.scope = trio.CancelScope()
        self._send_seconds = LAST_SEND_SECONDS if connections.closing else SEND_SECONDS
        self._sending = trio.CancelScope()

    def hurry(self) -> None:
        """Shorten the send timeout to LAST_SEND_SECONDS, for a send in progress too."""
        self._send_seconds = LAST_SEND_SECONDS
        self._sending.deadline = min(self._sending.deadline, trio.current_time() + LAST_SEND_SECONDS)

    async def run(self) -> None:
        """Serve the connection. An exception is logged and ends this connection only."""
        self._connections.admit(self)
        try:
            with self.scope:
                await self._serve()
        except* OSError:
            log.debug("client disconnected")
        except* Exception as group:
            log.warning("connection failed", error=loggable(first_error(group)))
        finally:
            self._connections.dismiss(self)
            self._socket_stream.socket.close()

    async def _serve(self) -> None:
        socket = self._socket_stream.socket
        client, server = (parse_socket_addr(socket.family, end()) for end in (socket.getpeername, socket.getsockname))
        async with TaskGroup() as tasks:
            self._task_group = tasks
            self.protocol = _Http(  # type: ignore[assignment]
                self.app,
                self.config,
                self.context,
                tasks,
                ConnectionState(self.state),
                False,
                client,
                server,
                self.protocol_send,
            )
            await self.protocol.initiate()
            await self.idle_task.restart(tasks, self._idle_timeout)
            await self._read_data()
            self.scope.cancel(reason="closed by the client")

    async def protocol_send(self, event: Event) -> None:
        """Send a chunk of a response within the time limit, or end the connection."""
        if isinstance(event, Closed):
            self.scope.cancel(reason="closed")  # `run` closes the socket
            return
        if isinstance(event, Updated):
            self._connections.update(self, idle=event.idle)
        if not isinstance(event, RawData):
            # Quart cancels its request task once the response is sent; the keep-alive timer must start regardless.
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)
            return
        async with self.send_lock:
            with trio.move_on_after(self._send_seconds, shield=True) as self._sending:
                try:
                    await self.stream.send_all(event.data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    self.scope.cancel(reason="client disconnected")
            if self._sending.cancelled_caught:
                self.scope.cancel(reason="client does not read")


def _client_of(stream: trio.SocketStream) -> str:
    """Return the name under which the connection's client is counted; behind a proxy this is the proxy."""
    try:
        peer = stream.socket.getpeername()
    except OSError:  # disconnected meanwhile
        return client_name(None)
    return client_name(peer[0] if isinstance(peer, tuple) else None)


class _Http(H11Protocol):
    """HTTP/1.1 only. Requests to upgrade to HTTP/2 or a websocket are ignored, as RFC 9110 (section 7.8) permits."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Do nothing: hypercorn's version switches to HTTP/2 or a websocket here."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers.raw_items() if name.lower() != b"upgrade"]
        await super()._create_stream(
            h11.Request(
                method=request.method, target=request.target, headers=headers, http_version=request.http_version
            )
        )

    async def _send_error_response(self, status_code: int) -> None:
        """Answer a malformed request, with the same security headers as any other response."""
        headers: list[Any] = [(b"content-length", b"0"), (b"connection", b"close"), *SECURITY_HEADERS]
        headers += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.EndOfMessage())
