"""The bytes of one client ⇄ ASGI: HTTP/1.1 with h11, one task per connection, one write per reply.

hypercorn uses several tasks, locks and writes per request. The verbs of a queue are so short that this overhead was
most of their time. Also, hypercorn shields its writes without a time limit, and an error in one connection can end
the whole server. Only its implementation of the ASGI lifespan is used.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import unquote

import h11
import trio

from emulator.permissions.clients import client_name
from emulator.wire import replies
from emulator.wire.bodies import Asgi, Message
from emulator.wire.errors import ApiError, by_reason, first_error

log = logging.getLogger(__name__)
MAX_CONNECTIONS = 10_000  # at once, in one process; fewer if it may not open as many files
RESERVED_DESCRIPTORS = 128  # for the store, its reserve, connections being closed, and the processes of the server
CLIENT_SHARE = 0.25  # of these connections, for one client
MIN_CLIENT_CONNECTIONS = 64
HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 20  # from the first byte of the head of a request to its last
READ_BYTES = 64 * 1024
LINGER_SECONDS = 2  # without data from a client that hasn't read the reply yet, after which the connection is closed
MAX_LINGER_SECONDS = 30  # for the client to send the rest of a request that was not read completely
MAX_LINGER_BYTES = 32 * 1024 * 1024  # of it; they are discarded
_WITHOUT_BODY = (204, 304)
# The start of a target in absolute form, which clients send to proxies, and may send to any server.
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)", re.IGNORECASE)


@lru_cache(maxsize=1)
def date_text(second: int) -> bytes:
    """Return the value of the Date header; cached, because it changes only once per second."""
    return formatdate(second, usegmt=True).encode("ascii")


class ConnectionLostError(Exception):
    """The client disconnected or read too slowly."""


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


class OpenConnections:
    """State shared by the connections of a server: their number, and the reads that wait for a client."""

    def __init__(
        self, keep_alive: float, limit: int | None = None, is_proxy: Callable[[str], bool] = lambda address: False
    ) -> None:
        self.keep_alive = keep_alive
        """How long (s) a connection may take until the head of its next request is complete."""
        self.closing = trio.Event()
        self.count = 0
        self.limit = connection_limit() if limit is None else limit
        self.client_limit = max(MIN_CLIENT_CONNECTIONS, int(self.limit * CLIENT_SHARE))
        self._is_proxy = is_proxy
        self._by_client: Counter[str] = Counter()
        self.reading: set[trio.CancelScope] = set()
        self.incomplete: dict[trio.CancelScope, str] = {}
        """The reads that wait for a request or for the rest of one, with their clients, the longest wait first."""

    def client_of(self, address: str) -> str:
        """Return the client whose connections are counted together; "" for a proxy, which has as many as it needs."""
        return "" if self._is_proxy(address) else client_name(address)

    def make_room(self, client: str) -> bool:
        """Close the connection that has waited longest for its client, at a limit. Return whether there is room.

        At the limit of one client, one of its own connections is closed.
        """
        of_client = client != "" and self._by_client[client] >= self.client_limit
        if self.count < self.limit and not of_client:
            return True
        waiting = (scope for scope, owner in self.incomplete.items() if owner == client or not of_client)
        longest = next(waiting, None)
        if longest is None:  # every connection has a request in progress
            return False
        del self.incomplete[longest]
        longest.cancel()
        return True

    def add(self, client: str, number: int = 1) -> None:
        """Count a connection of this client; -1 when it ends."""
        self.count += number
        if client:
            self._by_client[client] += number
            if not self._by_client[client]:
                del self._by_client[client]

    def close(self) -> None:
        """Close connections that wait for their client; the others close after the current reply."""
        self.closing.set()
        for scope in self.reading:
            scope.cancel()


class Connection:
    """The connection of one client."""

    def __init__(self, app: Asgi, stream: trio.SocketStream, connections: OpenConnections, client: str = "") -> None:
        self._app = app
        self._client = client
        self._stream = stream
        self._connections = connections
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._addresses = {"client": stream.socket.getpeername()[:2], "server": stream.socket.getsockname()[:2]}
        self._method = b""
        self._body_read = False
        self._start: Message | None = None

    async def serve(self) -> None:
        """Answer one request after another until the connection ends."""
        while not self._connections.closing.is_set():
            try:
                request = await self._next_request()
                if request is None:
                    return
                await self._app(self._scope(request), self._receive, self._send)
            except h11.RemoteProtocolError as error:
                await self._refuse(error)
                return
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                await self._linger()
                return
            self._http.start_next_cycle()

    async def _next_request(self) -> h11.Request | None:
        """Return the head of the next request, None if the client sends no more. Raises RemoteProtocolError."""
        self._body_read = False
        self._start = None
        deadline = trio.current_time() + self._connections.keep_alive
        with trio.CancelScope(deadline=deadline) as waiting, self._incomplete(waiting):
            while (event := self._http.next_event()) is h11.NEED_DATA:
                if (data := await self._read(math.inf)) is None:
                    return None
                waiting.deadline = min(waiting.deadline, trio.current_time() + HEAD_SECONDS)
                self._http.receive_data(data)
        if waiting.cancelled_caught:
            return None
        if not isinstance(event, h11.Request):
            return None
        self._method = event.method
        if not event.http_version.startswith(b"1."):
            raise h11.RemoteProtocolError("its version is not supported", error_status_hint=505)
        return event

    @contextmanager
    def _incomplete(self, waiting: trio.CancelScope) -> Iterator[None]:
        """Let the server close this connection in favour of a new one while it waits for its client."""
        self._connections.incomplete[waiting] = self._client
        try:
            yield
        finally:
            self._connections.incomplete.pop(waiting, None)

    async def _read(self, deadline: float) -> bytes | None:
        """Return the next data from the client, or None after the deadline or when the server closes."""
        if self._connections.closing.is_set():
            return None
        with trio.CancelScope(deadline=deadline) as scope:
            self._connections.reading.add(scope)
            try:
                return await self._stream.receive_some(READ_BYTES)
            finally:
                self._connections.reading.discard(scope)
        return None

    def _scope(self, request: h11.Request) -> Message:
        target, headers = request.target, list(request.headers)
        if (absolute := _ABSOLUTE.match(target)) is not None:
            # The host in the target takes precedence (RFC 9112, section 3.2.2).
            headers = [(b"host", absolute[1]), *(header for header in headers if header[0] != b"host")]
            target = target[absolute.end() :]
            target = target if target.startswith(b"/") else b"/" + target
        path, _, query = target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"spec_version": "2.3", "version": "3.0"},
            "http_version": request.http_version.decode("ascii"),
            "method": request.method.decode("ascii").upper(),
            "scheme": "http",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "extensions": {},
            **self._addresses,
        }

    async def _receive(self) -> Message:
        """Return the next part of the body. After the body, wait until the client disconnects or the server closes.

        Raises RemoteProtocolError, which propagates through the application, if the framing of the body is invalid.
        """
        if self._body_read:
            await self._wait_for_disconnect()
            return {"type": "http.disconnect"}
        if self._http.they_are_waiting_for_100_continue:
            await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        parts: list[bytes] = []
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._body_read = True
                return {"type": "http.request", "body": b"".join(parts), "more_body": False}
            elif event is not h11.NEED_DATA:
                return {"type": "http.disconnect"}
            elif parts:
                return {"type": "http.request", "body": b"".join(parts), "more_body": True}
            else:
                with trio.CancelScope() as waiting, self._incomplete(waiting):
                    self._http.receive_data(await self._stream.receive_some(READ_BYTES))
                if waiting.cancelled_caught:
                    raise ConnectionLostError

    async def _wait_for_disconnect(self) -> None:
        """Return when the client disconnects or the server closes. A pipelined request is buffered meanwhile."""
        while self._http.trailing_data == (b"", False):
            if (data := await self._read(math.inf)) is None:
                return
            self._http.receive_data(data)
        if not self._http.trailing_data[1]:
            await self._connections.closing.wait()

    async def _send(self, message: Message) -> None:
        """Send a reply. The head is held until the first part of the body, so that a short reply is a single write."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        data = b""
        body = message.get("body", b"")
        if self._start is not None:
            status = self._start["status"]
            headers = [*self._start.get("headers", ()), (b"date", date_text(int(time.time())))]
            data = self._http.send(h11.Response(status_code=status, headers=headers)) or b""
            self._bodiless = status in _WITHOUT_BODY or self._method == b"HEAD"
            self._start = None
        if body and not self._bodiless:
            data += self._http.send(h11.Data(data=body)) or b""
        if not message.get("more_body", False):
            data += self._http.send(h11.EndOfMessage()) or b""
        await self._write(data)

    async def _write(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ConnectionLostError from error

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Reply to invalid HTTP, unless a reply has already started."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        message = f"the request is not valid HTTP/1.1: {error}; send a valid request"
        refusal = ApiError(error.error_status_hint, message, "badRequest")
        reply = replies.encoded(replies.error_reply(refusal, by_reason))
        headers = [*reply.headers, ("Connection", "close"), ("Content-Length", str(len(reply.body)))]
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": reply.body})
        await self._linger()

    async def _linger(self) -> None:
        """Give the client time to read the reply: closing the socket while it still sends would discard the reply."""
        await self._stream.send_eof()
        end = trio.current_time() + MAX_LINGER_SECONDS
        size = 0
        with trio.CancelScope() as waiting, self._incomplete(waiting):
            while data := await self._read(min(end, trio.current_time() + LINGER_SECONDS)):
                size += len(data)
                if size > MAX_LINGER_BYTES:
                    return


async def serve_connection(app: Asgi, connections: OpenConnections, stream: trio.SocketStream) -> None:
    """Serve a connection until it ends. An error in it is logged and doesn't affect anything else."""
    try:
        client = connections.client_of(stream.socket.getpeername()[0])
    except OSError:  # it has disconnected
        await trio.aclose_forcefully(stream)
        return
    if not connections.make_room(client):
        log.debug("too many connections: a new one was closed")
        await trio.aclose_forcefully(stream)
        return
    connections.add(client)
    try:
        async with stream:
            await Connection(app, stream, connections, client).serve()
    except* (ConnectionLostError, OSError, trio.BrokenResourceError):
        log.debug("client disconnected")
    except* Exception as group:
        log.warning("connection failed: %r", first_error(group))
    finally:
        connections.add(client, -1)
