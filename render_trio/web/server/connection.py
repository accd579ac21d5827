"""One connection of the web: hypercorn's HTTP/1.1, with limits where its own are missing.

hypercorn on trio (0.18) lets a connection's failure end the whole server, sends without a time limit and out of
any cancellation's reach, and keeps a connection for ever whose answer came before its body was read. Here a
failure ends its own connection, a client that doesn't read is cut off, and what is closed is gone. HTTP/2 and
websockets are not spoken: nothing here needs them, and what isn't there can't be abused.
"""

from __future__ import annotations

from typing import Any

import h11
import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from render_trio.errors import first_error
from render_trio.web.server.request_limits import SECURITY_HEADERS

SEND_SECONDS = 20.0  # that a client may take to accept one piece of an answer
LAST_SEND_SECONDS = 1.0  # the same, once the web is to end
log = structlog.get_logger(__name__)


class Connections:
    """The connections that are open, oldest first; when there are too many, the oldest makes room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[Connection, None] = {}
        self.ending = False

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Connection) -> None:
        """Take a new connection in."""
        while len(self._open) >= self._most:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.hurry()
            oldest.scope.cancel(reason="too many connections")
        self._open[connection] = None

    def dismiss(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._open.pop(connection, None)

    def end(self) -> None:
        """Let no client hold up the end: who does not read now is cut off."""
        self.ending = True
        for connection in self._open:
            connection.hurry()


class Connection(TCPServer):
    """One connection, from its first byte to its end."""

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
        self.scope = trio.CancelScope()
        self._send_seconds = LAST_SEND_SECONDS if connections.ending else SEND_SECONDS
        self._sending = trio.CancelScope()

    def hurry(self) -> None:
        """Wait for the client no longer than it takes to be polite."""
        self._send_seconds = LAST_SEND_SECONDS
        self._sending.deadline = min(self._sending.deadline, trio.current_time() + LAST_SEND_SECONDS)

    async def run(self) -> None:
        """Serve the connection; its failure is logged, and ends nothing but itself."""
        self._connections.admit(self)
        try:
            with self.scope:
                await self._serve()
        except* OSError:
            log.debug("a client went away")
        except* Exception as group:
            log.warning("a connection failed", error=repr(first_error(group)))
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
            self.scope.cancel(reason="the client has closed")

    async def protocol_send(self, event: Event) -> None:
        """Send a piece of an answer whole, in time, or end the connection; what is closed leaves nothing behind."""
        if isinstance(event, Closed):
            self.scope.cancel(reason="closed")  # and `run` closes the socket
            return
        if not isinstance(event, RawData):
            # Quart cancels its request when the answer is out; the timer of an idle connection must start all the same.
            with trio.CancelScope(shield=True):
                await super().protocol_send(event)
            return
        async with self.send_lock:
            with trio.move_on_after(self._send_seconds, shield=True) as self._sending:
                try:
                    await self.stream.send_all(event.data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    self.scope.cancel(reason="the client has gone")
            if self._sending.cancelled_caught:
                self.scope.cancel(reason="the client does not read")


class _Http(H11Protocol):
    """HTTP/1.1 alone: a wish for HTTP/2 or a websocket is not granted, which the standard allows."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """Stay with HTTP/1.1."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers.raw_items() if name.lower() != b"upgrade"]
        await super()._create_stream(
            h11.Request(
                method=request.method, target=request.target, headers=headers, http_version=request.http_version
            )
        )

    async def _send_error_response(self, status_code: int) -> None:
        """Answer what is no request; as secured as every other answer."""
        headers: list[Any] = [(b"content-length", b"0"), (b"connection", b"close"), *SECURITY_HEADERS]
        headers += self.config.response_headers("h11")
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.EndOfMessage())
