"""Small applications behind the web server, and clients that misbehave."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from render_trio.web.server.connection import Connections
from render_trio.web.server.listening import TCP_USER_TIMEOUT, listening_socket
from render_trio.web.server.request_limits import Asgi, Message, Receive, Send, limit_requests
from render_trio.web.server.server import serve

LIMIT = 1024 * 1024


@dataclass(frozen=True)
class Edge:
    """A served application."""

    port: int
    connections: Connections

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def ask(self, request: bytes) -> bytes:
        """Send a request on a new connection, and return everything received until it is closed."""
        async with await self.connect() as stream:
            await stream.send_all(request)
            return await read_to_end(stream)

    async def all_closed(self) -> None:
        """Wait until no connection is open."""
        while len(self.connections):  # noqa: ASYNC110 - real time, real sockets
            await trio.sleep(0.005)


@asynccontextmanager
async def edge(app: Asgi, limit: int = LIMIT, *, keep_alive: float = 60.0) -> AsyncIterator[Edge]:
    """Serve an application until the block is left; fails if that takes too long.

    The kernel disconnects clients that don't read, too. Here it doesn't, so that it can't hide a server that doesn't.
    """
    listener = listening_socket("127.0.0.1", 0)
    listener.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, 0)
    with listener, trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            connections = await nursery.start(serve, limit_requests(app, limit), listener, keep_alive)
            yield Edge(listener.getsockname()[1], connections)
            nursery.cancel_scope.cancel()


async def read_to_end(stream: trio.SocketStream) -> bytes:
    """Return everything received until the other side closes or resets the connection."""
    received = bytearray()
    try:
        async for data in stream:
            received += data
    except trio.BrokenResourceError:
        pass
    return bytes(received)


async def send_for_ever(stream: trio.SocketStream, data: bytes, pause: float) -> None:
    """Send the same data repeatedly until the other side closes the connection."""
    try:
        while True:
            await stream.send_all(data)
            await trio.sleep(pause)
    except trio.BrokenResourceError:
        return


def get(path: str = "/", *, close: bool = True) -> bytes:
    """Return a request."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{'Connection: close' + chr(13) + chr(10) if close else ''}\r\n".encode()


def post(path: str, size: int) -> bytes:
    """Return a request with a body of `size` bytes."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size


async def hasty(scope: Message, receive: Receive, send: Send) -> None:
    """Respond with the status that the path names, without reading the body."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
    status = int(re.sub("[^0-9]", "", scope["path"]) or 200)
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\n"})


async def thoughtful(scope: Message, receive: Receive, send: Send) -> None:
    """Respond like `hasty`, but only after a moment in which more of the body arrives."""
    if scope["type"] == "http":
        await trio.sleep(0.05)
    await hasty(scope, receive, send)


async def halting(scope: Message, receive: Receive, send: Send) -> None:
    """Respond like `hasty`; but a response to `/halt` begins, and then nothing follows."""
    if scope.get("path") != "/halt":
        await hasty(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    await trio.sleep_forever()


async def endless(scope: Message, receive: Receive, send: Send) -> None:
    """Send a response whose chunks are larger than any buffer."""
    if scope["type"] == "lifespan":
        await hasty(scope, receive, send)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(4):
        await send({"type": "http.response.body", "body": bytes(16 * 1024 * 1024), "more_body": True})


def open_files() -> int:
    """Return the number of open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))
