"""Checks that refuse a request by its head, before its body is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import trio

from render_trio.web.problems import PROBLEM_TYPE, REFUSED, problem_body
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
            judged = scope["type"] != "http" or REFUSED in scope
            refusal = None if judged else check(scope)
            if refusal is None:
                await app(scope, receive, send)
            elif not await _discard(receive):
                return
            elif _is_from_a_browser(scope):
                await trio.sleep(refusal.delay)
                await app(scope | {REFUSED: refusal}, _without_body(receive), _closing(send))
            else:
                await refuse(refusal, send)

        return serve

    return wrap


async def _discard(receive: Receive) -> bool:
    """Throw the body away as it arrives. Return False if the client has disconnected."""
    size, more = 0, True
    with trio.move_on_after(DISCARD_SECONDS):
        while more and size < DISCARDED_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return False
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
    return True


def _is_from_a_browser(scope: Message) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _without_body(receive: Receive) -> Receive:
    """Return a `receive` for a request without a body. What is left of the real one is thrown away as it arrives."""
    unread = [Message(type="http.request", body=b"", more_body=False)]

    async def receive_rest() -> Message:
        if unread:
            return unread.pop()
        while (message := await receive())["type"] != "http.disconnect":
            pass
        return message

    return receive_rest


def _closing(send: Send) -> Send:
    """Close the connection after the response: a part of the body may not have been read."""

    async def send_last(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = message | {"headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return send_last


async def refuse(refusal: Refusal, send: Send) -> None:
    """Send the refusal as a problem, and close the connection."""
    await trio.sleep(refusal.delay)
    headers = [(b"content-type", PROBLEM_TYPE.encode()), (b"connection", b"close"), (b"cache-control", b"no-store")]
    headers += refusal.headers
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem_body(refusal.status, refusal.code, refusal.detail)})
