"""The access table, applied to requests before any of their bodies is read."""

from __future__ import annotations

import re

from render_trio.web.access.attempts import Attempts
from render_trio.web.access.clients import PROGRAM, name_of
from render_trio.web.access.table import Port, is_served, route_of
from render_trio.web.access.tokens import Tokens
from render_trio.web.server.admission import Refusal
from render_trio.web.server.request_limits import Message

BEARER = re.compile(rb"(?i:bearer) +([!-~]{1,1000}) *")
REALM = b'Bearer realm="render-trio"'


class Access:
    """Decides on the requests that one port receives."""

    def __init__(self, programs: Tokens, attempts: Attempts, port: Port = "both") -> None:
        """`programs` has their tokens. `port` is "both" for a service that has no separate port for operators."""
        self._programs = programs
        self._attempts = attempts
        self._port = port

    def check(self, scope: Message) -> Refusal | None:
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
