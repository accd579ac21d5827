"""Request bodies, read completely and within a limit before the request is processed.

With hypercorn on Trio, a connection leaks if the reply is sent before the body was read, as happens when a request
is refused. Bodies are small in this service, so reading them first costs nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from emulator.wire.errors import ApiError

BODY_SECONDS = 30  # for a client to send its body
DISCARDED_BYTES = 16 * 1024 * 1024  # read and discarded of a body that is too large, before the connection is closed

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


class ClientGoneError(Exception):
    """The client closed the connection before it had sent the whole body."""


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """Return the body. A body that is too large is read and discarded, so that the client can receive the reply.

    Raises ApiError (408, 413), ClientGoneError.
    """
    with trio.move_on_after(BODY_SECONDS):
        return await _read(receive, max_bytes)
    raise ApiError(408, f"the body took more than {BODY_SECONDS} s; send it faster", headers=(("Connection", "close"),))


async def _read(receive: Receive, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= max_bytes + DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        size += len(part)
        if size <= max_bytes:
            parts.append(part)
        more = message.get("more_body", False)
    if size > max_bytes:
        raise ApiError(
            413, f"the body is larger than {max_bytes} bytes; send a smaller one", headers=(("Connection", "close"),)
        )
    return b"".join(parts)
