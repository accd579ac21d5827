"""A client for server-sent events on a plain connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

TIMEOUT = 20.0


class Listener:
    """An open stream of events."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._unread = ""

    async def until(self, text: str) -> str:
        """Return everything received up to and including this text."""
        with trio.fail_after(TIMEOUT):
            while text not in self._unread:
                part = await self._stream.receive_some()
                assert part, f"the stream ended before {text!r}: {self._unread[-300:]}"
                self._unread += part.decode()
        seen, _, self._unread = self._unread.partition(text)
        return seen + text

    async def rest(self) -> str:
        """Return everything received until the end of the stream."""
        return await self.until("\r\n0\r\n\r\n")


@asynccontextmanager
async def listening(address: str, path: str) -> AsyncIterator[Listener]:
    """Open a stream of events; leaving the block closes the connection."""
    host, port = address.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        listener = Listener(stream)
        assert "text/event-stream" in await listener.until("\r\n\r\n")
        yield listener
