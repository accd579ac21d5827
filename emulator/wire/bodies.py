"""Request bodies, read completely and decompressed within a limit before the request is processed.

With hypercorn on Trio, a connection leaks if the reply is sent before the body was read, as happens when a request
is refused. Bodies are small in this service, so reading them first costs nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from emulator.wire.errors import ApiError, shown

BODY_SECONDS = 30  # for a client to send its body
GZIP = ("gzip", "x-gzip")
GZIP_MEMBERS = 10  # each member costs a copy of what follows it
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


def uncompressed(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return the body without its Content-Encoding, which means nothing if there is no body.

    Never decompresses more than `max_bytes` + 1 bytes. Raises ApiError: 400 if the data is damaged, 413 if it is too
    large, 415 for an encoding other than gzip.
    """
    encoding = encoding.strip().lower()
    if not body or encoding in ("", "identity"):
        return body
    if encoding not in GZIP:
        message = f"Content-Encoding is {shown(encoding)}; allowed: gzip, identity"
        raise ApiError(415, message, "", "Content-Encoding", "header", (("Accept-Encoding", "gzip"),))
    parts: list[bytes] = []
    size = 0
    for _ in range(GZIP_MEMBERS):
        decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            part = decompressor.decompress(body, max_bytes + 1 - size)
        except zlib.error as error:
            raise _damaged(str(error)) from None
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise ApiError(413, f"the decompressed body is larger than {max_bytes} bytes; send a smaller one")
        if not decompressor.eof:
            raise _damaged("it is incomplete")
        body = decompressor.unused_data
        if not body:
            return b"".join(parts)
    raise _damaged(f"it has more than {GZIP_MEMBERS} members")


def _damaged(reason: str) -> ApiError:
    message = f"Content-Encoding is gzip, but the body is not valid gzip data: {reason}; send it again or uncompressed"
    return ApiError(400, message, "parseError", "Content-Encoding", "header")
