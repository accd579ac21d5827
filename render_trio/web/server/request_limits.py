"""Request bodies, read whole and under a limit before the application sees the request; security headers after.

An answer that comes before its request was read is lost to most clients: the connection's end reaches them
first. So bodies are read first, and a good deal of one that is too large. This service takes only small ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

BODY_SECONDS = 20.0  # that a client may take to send its body
DISCARDED_BYTES = 8 * 1024 * 1024  # of a body that is too large: as much is read, so that its sender sees the answer

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]

SECURITY_HEADERS = (
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class _ClientGone(Exception):
    """The client closed the connection before its body was there."""


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def guarded(app: Asgi, body_limit: int) -> Asgi:
    """Return the application behind a limit of `body_limit` bytes, its answers with security headers."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                extra = [header for header in SECURITY_HEADERS if header[0] not in given]
                message = message | {"headers": [*message["headers"], *extra]}
            # With the last message hypercorn ends the exchange, tells the application so, and is then cancelled by it
            # before the connection is closed, or made ready for the next request: neither would ever happen.
            with trio.CancelScope(shield=message["type"] == "http.response.body" and not message.get("more_body")):
                await send(message)

        try:
            with trio.fail_after(BODY_SECONDS):
                unread = [await _read(receive, body_limit)]
        except _ClientGone:
            return
        except trio.TooSlowError:
            await _refuse(send_secured, 408, f"the body took over {BODY_SECONDS:.0f} s")
            return
        except _Refused as refusal:
            await _refuse(send_secured, refusal.status, str(refusal))
            return

        async def receive_whole() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        await app(scope, receive_whole, send_secured)

    return serve


async def _read(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= limit + DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        size += len(message.get("body", b""))
        if size <= limit:
            parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    if size > limit:
        raise _Refused(413, f"the body is larger than {limit} bytes")
    return b"".join(parts)


async def _refuse(send: Send, status: int, message: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{message}\n".encode()})
