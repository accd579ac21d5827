"""Request bodies, read whole and under a limit before the application sees the request.

hypercorn on trio keeps a connection for ever whose answer came before its body was read, which a refused
request easily does. Bodies are small here, so reading first costs nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from emulator.errors import ApiError
from emulator.parameters import BODY_BYTES

BODY_SECONDS = 30  # that a client may take to send its body
DISCARDED_BYTES = 8 * BODY_BYTES  # of a body that is too large: then the connection is closed instead

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]


class _ClientGone(Exception):
    """The client closed the connection before its body was there."""


def whole_bodies(app: Asgi) -> Asgi:
    """Return the application behind this guard."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        try:
            with trio.fail_after(BODY_SECONDS):
                body = await _read(receive)
        except _ClientGone:
            return
        except trio.TooSlowError:
            await _refuse(send, ApiError(408, f"the body took over {BODY_SECONDS} s", "requestTimeout"))
            return
        except ApiError as error:
            await _refuse(send, error)
            return
        unread = [body]

        async def receive_whole() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        await app(scope, receive_whole, send)

    return serve


async def _read(receive: Receive) -> bytes:
    """Return the body; one that is too large is read and forgotten, so that the client reads the answer."""
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        size += len(message.get("body", b""))
        if size <= BODY_BYTES:
            parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    if size > BODY_BYTES:
        raise ApiError(413, f"the body is larger than {BODY_BYTES} bytes")
    return b"".join(parts)


async def _refuse(send: Send, error: ApiError) -> None:
    response = error.response()
    body = await response.get_data(as_text=False)
    headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
