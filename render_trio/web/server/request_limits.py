"""Reads request bodies completely, within limits, before the application runs; adds security headers to responses.

Most clients lose a response that is sent before their request has been read, because the connection is reset first.
Therefore the body is read first, and of one that is too large, DISCARDED_BYTES more. This service accepts only small
bodies.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from render_trio.web.problems import PROBLEM_TYPE, problem_body

BODY_SECONDS = 20.0  # that a client may take to send its body
DISCARDED_BYTES = 8 * 1024 * 1024  # read of a body that is too large, so that the client receives the response

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Message, Receive, Send], Awaitable[None]]
Step = Callable[[Asgi], Asgi]
"""Puts something before an application."""

SECURITY_HEADERS = (
    (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    # Without a referrer for our own pages, their forms would have the Origin "null".
    (b"referrer-policy", b"same-origin"),
)
# Browsers ignore it over plain HTTP, and complain about it.
OPENER_POLICY = (b"cross-origin-opener-policy", b"same-origin")


class _ClientGone(Exception):
    """The client closed the connection before its body had arrived."""


class _TooLarge(Exception):
    """The body is too large."""


def limit_requests(app: Asgi, body_limit: int, *steps: Step) -> Asgi:
    """Return the application with request bodies limited to `body_limit` bytes, and security headers on its responses.

    A body that is too large gets 413, one that takes more than BODY_SECONDS gets 408. The steps, outermost first, come
    before the body is read, so that a request that one of them refuses takes no memory.
    """
    served = _with_bodies(app, body_limit)
    for step in reversed(steps):
        served = step(served)
    return _secured(served)


def _secured(app: Asgi) -> Asgi:
    """Return the application with security headers on its responses."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                extra = [header for header in SECURITY_HEADERS if header[0] not in given]
                message = message | {"headers": [*message["headers"], *extra]}
            # On the last message hypercorn notifies the application, which then cancels this task, before hypercorn has
            # closed the connection or prepared it for the next request. The shield lets it finish.
            with trio.CancelScope(shield=message["type"] == "http.response.body" and not message.get("more_body")):
                await send(message)

        await app(scope, receive, send_secured if scope["type"] == "http" else send)

    return serve


def _with_bodies(app: Asgi, body_limit: int) -> Asgi:
    """Return the application, called with the complete body of each request."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        try:
            with trio.fail_after(BODY_SECONDS):
                unread = [await _read(receive, body_limit)]
        except _ClientGone:
            return
        except trio.TooSlowError:
            await _refuse(send, 408, "request_timeout", f"the body took more than {BODY_SECONDS:.0f} s to arrive")
            return
        except _TooLarge as refusal:
            await _refuse(send, 413, "too_large", str(refusal))
            return

        async def receive_whole() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        async def send_isolated(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["scheme"] == "https":
                message = message | {"headers": [*message["headers"], OPENER_POLICY]}
            await send(message)

        await app(scope, receive_whole, send_isolated)

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
        else:
            parts.clear()
        more = message.get("more_body", False)
    if size > limit:
        raise _TooLarge(f"the body is larger than {limit} bytes")
    return b"".join(parts)


async def _refuse(send: Send, status: int, code: str, message: str) -> None:
    headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": problem_body(status, code, message)})
