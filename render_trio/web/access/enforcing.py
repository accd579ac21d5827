"""The access table as a layer of the web server: a request is refused before any of its body is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import trio

from render_trio.web.access.attempts import Attempts
from render_trio.web.access.clients import PROGRAM, name_of
from render_trio.web.access.table import Port, is_served, route_of
from render_trio.web.access.tokens import Tokens
from render_trio.web.problems import PROBLEM_TYPE, problem_body
from render_trio.web.responses import NOT_KEPT
from render_trio.web.server.request_limits import SECURITY_HEADERS, Asgi, Message, Receive, Send

# Read of a refused request and dropped at once. Without this, the client's kernel discards the response, because the
# connection is reset when it is closed with data that nobody has read.
DISCARDED_BYTES = 1024 * 1024
DISCARD_SECONDS = 5.0
BEARER = re.compile(rb"(?i:bearer) +([!-~]{1,1000}) *")
REALM = b'Bearer realm="render-trio"'


@dataclass(frozen=True, slots=True)
class Refusal:
    """The response to a request that isn't allowed, sent after `delay` seconds."""

    status: int
    code: str
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    delay: float = 0.0


Decision = Callable[[Message], Refusal | None]


class Access:
    """Decides on the requests that one port receives."""

    def __init__(self, programs: Tokens, attempts: Attempts, port: Port = "both") -> None:
        """`programs` has their tokens. `port` is "both" for a service that has no separate port for operators."""
        self._programs = programs
        self._attempts = attempts
        self._port = port

    def refusal(self, scope: Message) -> Refusal | None:
        """Return the response to the request with this ASGI scope, or None if it may proceed.

        A request with a program's token is marked in the scope, for the quotas.
        """
        route = route_of(scope)
        if route is None:
            return None
        if not is_served(route, self._port):
            return Refusal(404, "not_found", "this address is not served on this port")
        if route.role == "program" and self._programs.configured:
            return self._authenticate(scope)
        return None

    def _authenticate(self, scope: Message) -> Refusal | None:
        token = _bearer_token(scope)
        if token is None:
            detail = "this request needs a token: send the header 'Authorization: Bearer TOKEN'"
            return Refusal(401, "token_required", detail, ((b"www-authenticate", REALM),))
        verdict = self._attempts.check(self._programs, token, name_of(scope))
        if verdict.accepted:
            scope[PROGRAM] = True
            return None
        if verdict.retry_after:
            retry = (b"retry-after", str(verdict.retry_after).encode())
            return Refusal(429, "too_many_attempts", "too many wrong tokens were sent from this address", (retry,))
        failed = (b"www-authenticate", REALM + b', error="invalid_token"')
        return Refusal(401, "wrong_token", "the token is not valid", (failed,), verdict.delay)


def _bearer_token(scope: Message) -> str | None:
    """Return the token in the Authorization header; None unless there is exactly one such header, with a token."""
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    found = BEARER.fullmatch(given[0]) if len(given) == 1 else None
    return found[1].decode("ascii") if found else None


def enforce(app: Asgi, decide: Decision) -> Asgi:
    """Return the application behind a decision on each request."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        refusal = decide(scope) if scope["type"] == "http" else None
        if refusal is None:
            await app(scope, receive, send)
            return
        with trio.move_on_after(max(refusal.delay, DISCARD_SECONDS)):
            await _discard(receive)
        await trio.sleep(refusal.delay)
        await _send(send, refusal)

    return serve


async def _discard(receive: Receive) -> None:
    size, more = 0, True
    while more and size <= DISCARDED_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)


async def _send(send: Send, refusal: Refusal) -> None:
    headers = [
        (b"content-type", PROBLEM_TYPE.encode()),
        (b"cache-control", NOT_KEPT.encode()),
        (b"connection", b"close"),
        *refusal.headers,
        *SECURITY_HEADERS,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    body = problem_body(refusal.status, refusal.code, refusal.detail)
    # As in request_limits: hypercorn cancels this task on the last message, before it has closed the connection.
    with trio.CancelScope(shield=True):
        await send({"type": "http.response.body", "body": body})
