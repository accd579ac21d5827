"""Bytes of one client ⇄ ASGI: HTTP/1.1 by h11, one task a connection, one write a reply.

hypercorn's own way from the socket to the application takes several tasks, locks and writes for each
request; the verbs of a queue are so short that this was most of their time. It also shields its writes without
a limit, and lets what goes wrong in one connection end the server. What is kept of it is the lifespan.
"""

from __future__ import annotations

import logging
import math
import time
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import unquote

import h11
import trio

from emulator.wire import replies
from emulator.wire.bodies import Asgi, Message
from emulator.wire.errors import ApiError, by_reason, first_error

log = logging.getLogger(__name__)
IDLE_SECONDS = 60  # that a client may take until its next request is there
HEAD_BYTES = 32 * 1024
READ_BYTES = 64 * 1024
LINGER_SECONDS = 2  # that an answer may take to be read whose request wasn't read whole
_BODILESS = (204, 304)


@lru_cache(maxsize=1)
def date_text(second: int) -> bytes:
    """Return what a reply's Date header says; the same for a whole second."""
    return formatdate(second, usegmt=True).encode("ascii")


class ConnectionLostError(Exception):
    """The client has gone, or went on too slowly."""


class Closing:
    """What the connections of one server share: how many there are, and which wait for their clients."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.open = 0
        self.waiting: set[trio.CancelScope] = set()

    def begin(self) -> None:
        """End those who wait for their clients; the others end after what they are at."""
        self.begun.set()
        for scope in self.waiting:
            scope.cancel()


class Connection:
    """One client's connection; `serve` answers its requests until it ends."""

    def __init__(self, app: Asgi, stream: trio.SocketStream, closing: Closing) -> None:
        self._app = app
        self._stream = stream
        self._closing = closing
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._ends = {"client": stream.socket.getpeername()[:2], "server": stream.socket.getsockname()[:2]}
        self._method = b""
        self._body_read = False
        self._start: Message | None = None

    async def serve(self) -> None:
        """Answer one request after the other."""
        while not self._closing.begun.is_set():
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
        """Return the next request's head, None when the client sends no more. Raises RemoteProtocolError."""
        self._body_read = False
        self._start = None
        deadline = trio.current_time() + IDLE_SECONDS
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if (data := await self._read(deadline)) is None:
                return None
            self._http.receive_data(data)
        if not isinstance(event, h11.Request):
            return None
        self._method = event.method
        if not event.http_version.startswith(b"1."):
            raise h11.RemoteProtocolError("its version is not spoken here", error_status_hint=505)
        return event

    async def _read(self, deadline: float) -> bytes | None:
        """Return what the client sends next; None when it is slower than that, or the server closes."""
        if self._closing.begun.is_set():
            return None
        with trio.CancelScope(deadline=deadline) as scope:
            self._closing.waiting.add(scope)
            try:
                return await self._stream.receive_some(READ_BYTES)
            finally:
                self._closing.waiting.discard(scope)
        return None

    def _scope(self, request: h11.Request) -> Message:
        path, _, query = request.target.partition(b"?")
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
            "headers": list(request.headers),
            "extensions": {},
            **self._ends,
        }

    async def _receive(self) -> Message:
        """Return the next part of the body; after it, wait until the client has gone or the server closes.

        Raises RemoteProtocolError for a body that is framed wrongly; it passes through the application.
        """
        if self._body_read:
            await self._until_gone()
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
                self._http.receive_data(await self._stream.receive_some(READ_BYTES))

    async def _until_gone(self) -> None:
        """Return when the client has gone or the server closes. Its next request, if it sends one, has to wait."""
        while self._http.trailing_data == (b"", False):
            if (data := await self._read(math.inf)) is None:
                return
            self._http.receive_data(data)
        if not self._http.trailing_data[1]:
            await self._closing.begun.wait()

    async def _send(self, message: Message) -> None:
        """Send a reply; its head waits for the first part of its body, so that a short one is a single write."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        data = b""
        body = message.get("body", b"")
        if self._start is not None:
            status = self._start["status"]
            headers = [*self._start.get("headers", ()), (b"date", date_text(int(time.time())))]
            data = self._http.send(h11.Response(status_code=status, headers=headers)) or b""
            self._bodiless = status in _BODILESS or self._method == b"HEAD"
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
        """Answer what is no HTTP, if an answer can still be understood."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        told = ApiError(error.error_status_hint, f"this is not HTTP/1.1: {error}; send what is", "badRequest")
        reply = replies.encoded(replies.error_reply(told, by_reason))
        headers = [*reply.headers, ("Connection", "close"), ("Content-Length", str(len(reply.body)))]
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": reply.body})
        await self._linger()

    async def _linger(self) -> None:
        """Let the client read the answer: closing while it still sends would take it away."""
        await self._stream.send_eof()
        deadline = trio.current_time() + LINGER_SECONDS
        while await self._read(deadline):
            pass


async def serve_connection(app: Asgi, closing: Closing, stream: trio.SocketStream) -> None:
    """Serve a connection to its end; whatever goes wrong in it ends nothing else."""
    closing.open += 1
    try:
        async with stream:
            await Connection(app, stream, closing).serve()
    except* (ConnectionLostError, OSError, trio.BrokenResourceError):
        log.debug("a client went away")
    except* Exception as group:
        log.warning("a connection failed: %r", first_error(group))
    finally:
        closing.open -= 1
