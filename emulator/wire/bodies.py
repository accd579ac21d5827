"""Request bodies, read whole and under a limit before anybody sees the request.

hypercorn on trio keeps a connection for ever whose answer came before its body was read, which a refused
request easily does. Bodies are small here, so reading first costs nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from emulator.wire.errors import ApiError

BODY_SECONDS = 30  # that a client may take to send its body
DISCARDED_BYTES = 16 * 1024 * 1024  # of a body that is too large: then the connection is closed instead

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


class ClientGoneError(Exception):
    """The client closed the connection before its body was there."""


async def read_body(receive: Receive, most: int) -> bytes:
    """Return the body; one that is too large is read and forgotten, so that the client reads the answer.

    Raises ApiError (408, 413), ClientGoneError.
    """
    with trio.move_on_after(BODY_SECONDS):
        return await _read(receive, most)
    raise ApiError(408, f"the body took over {BODY_SECONDS} s; send it faster", headers=(("Connection", "close"),))


async def _read(receive: Receive, most: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= most + DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size <= most:
            parts.append(part)
        more = message.get("more_body", False)
    if size > most:
        raise ApiError(413, f"the body is larger than {most} bytes; send less", headers=(("Connection", "close"),))
    return b"".join(parts)
