"""Request bodies, read completely and decompressed within a limit before the request is processed.

The body of a request that is refused is never kept in memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import trio

from emulator.wire.errors import ApiError, shown

BODY_SECONDS = 30  # for a client to send its body
GZIP = ("gzip", "x-gzip")
GZIP_MEMBERS = 10  # each member costs a copy of what follows it
DISCARDED_BYTES = 64 * 1024  # of a refused request; after a larger body, the connection is closed
CLOSE = (("Connection", "close"),)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


class ClientGoneError(Exception):
    """The client closed the connection before it had sent the whole body."""


def declared_bytes(headers: Mapping[str, str], max_bytes: int) -> int:
    """Return how many bytes the body of a request can take in memory, by its headers; `max_bytes` if they don't say.

    Raises ApiError (413) if the body is larger than `max_bytes`.
    """
    if "transfer-encoding" in headers:
        return max_bytes
    length = int(headers.get("content-length", "0"))
    if length > max_bytes:
        raise _too_large(max_bytes)
    return max_bytes if length and "content-encoding" in headers else length


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """Return the body. Raises ApiError (408, 413), ClientGoneError."""
    parts: list[bytes] = []
    await _read(receive, max_bytes, parts.append)
    return b"".join(parts)


async def discard_body(receive: Receive, max_bytes: int) -> None:
    """Read a body that isn't used, so that the connection can be used again. Raises what `read_body` raises."""
    await _read(receive, max_bytes, lambda part: None)


async def discard_small(receive: Receive, headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Discard the body of a refused request if it is small; return the headers to add to the reply.

    After a reply with `Connection: close`, the connection reads what the client still sends, without keeping it, until
    the client has read the reply. Raises ClientGoneError.
    """
    named = {name.lower(): value for name, value in headers}
    length = named.get(b"content-length", b"0")
    if b"transfer-encoding" in named or b"expect" in named or not length.isdigit() or int(length) > DISCARDED_BYTES:
        return CLOSE
    try:
        await discard_body(receive, DISCARDED_BYTES)
    except ApiError:  # too slow
        return CLOSE
    return ()


async def _read(receive: Receive, max_bytes: int, keep: Callable[[bytes], None]) -> None:
    """Pass the parts of a body to `keep`."""
    size, more = 0, True
    with trio.move_on_after(BODY_SECONDS):
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            part = message.get("body", b"")
            size += len(part)
            if size > max_bytes:
                raise _too_large(max_bytes)
            keep(part)
            more = message.get("more_body", False)
        return
    raise ApiError(408, f"the body took more than {BODY_SECONDS} s; send it faster", headers=CLOSE)


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(413, f"the body is larger than {max_bytes} bytes; send a smaller one", headers=CLOSE)


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
