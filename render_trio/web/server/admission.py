"""Checks that refuse a request by its head, before its body is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trio

from render_trio.web.problems import PROBLEM_TYPE, problem_body
from render_trio.web.server.request_limits import Asgi, Message, Receive, Send, Step

DISCARDED_BYTES = 1024 * 1024  # read of a refused body, so that the client receives the response instead of a reset
DISCARD_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """The response to a refused request, sent after `delay` seconds; see `problem`."""

    status: int
    code: str
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    delay: float = 0.0


Check = Callable[[Message], Refusal | None]
"""Returns why a request is refused, from its ASGI scope; None if it may be served."""


def admitting(check: Check) -> Step:
    """Return a step that answers the requests that the check refuses."""

    def wrap(app: Asgi) -> Asgi:
        async def serve(scope: Message, receive: Receive, send: Send) -> None:
            refusal = check(scope) if scope["type"] == "http" else None
            if refusal is None:
                await app(scope, receive, send)
            else:
                await refuse(refusal, receive, send)

        return serve

    return wrap


async def refuse(refusal: Refusal, receive: Receive, send: Send) -> None:
    """Send the refusal and close the connection. The body is thrown away as it arrives, and never kept."""
    size, more = 0, True
    with trio.move_on_after(DISCARD_SECONDS):
        while more and size < DISCARDED_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
    await trio.sleep(refusal.delay)
    headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"connection", b"close"), (b"cache-control", b"no-store")]
    headers += refusal.headers
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem_body(refusal.status, refusal.code, refusal.detail)})
