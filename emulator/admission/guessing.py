"""Attempts with wrong tokens → growing delays for the client that makes them, and lines in the log.

Tokens are too long to be guessed. The delays are for short ones that somebody chose by hand, and keep an attempt to
guess from using the server's time; the log shows it. Clients are counted by address, and a school has only one. So a
token that this client has used before is never delayed, and another correct one waits for MAX_DELAY at most, unless
more than MAX_WAIT of attempts wait before it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import trio

from emulator.permissions.access import authenticate
from emulator.permissions.tokens import Tokens, token_of
from emulator.wire.errors import ApiError

log = logging.getLogger(__name__)
FREE_ATTEMPTS = 10  # failed ones before delays begin; a program with an old token and a few restarts makes that many
FIRST_DELAY = 0.1  # s; doubled with each further failure
MAX_DELAY = 1.0  # s
MAX_WAIT = 2.0  # s of delays before a new attempt, after which it is refused unread
FORGIVEN_SECONDS = 300  # without a failure, after which a client's count begins at 0 again
MAX_CLIENTS = 10_000  # with failures; the one whose last failure is the oldest is forgotten first
KNOWN_TOKENS = 50  # of one client, that are never delayed
LOG_LINES = 20  # per minute, of all clients
MINUTE = 60.0


@dataclass(slots=True)
class _Record:
    """The failed attempts of one client, and those that wait. The next is made at `free_at` (s, of trio's clock)."""

    failures: int = 0
    waiting: int = 0
    last_failure: float = 0.0
    free_at: float = 0.0


@dataclass(slots=True)
class _LogLimit:
    """Counts the lines of the current minute, and those that were left out."""

    minute: float = float("-inf")
    lines: int = 0
    left_out: int = 0


class Guessing:
    """Authenticates requests, and delays those of clients that have sent wrong tokens."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()
        self._known: OrderedDict[str, OrderedDict[bytes, None]] = OrderedDict()
        self._log = _LogLimit()

    async def holder(self, tokens: Tokens, headers: Mapping[str, str], client: str, *, page: bool) -> str:
        """Return the holder of the token of a request. Raises ApiError: 401, or 429 after too many wrong tokens.

        `page` selects the challenge with which a browser asks for a password.
        """
        record = self._records.get(client)
        if record is not None and trio.current_time() > record.last_failure + FORGIVEN_SECONDS:
            del self._records[client]
            record = None
        if record is not None and record.failures >= FREE_ATTEMPTS and not self._is_known(client, headers):
            await self._wait(record)
        try:
            holder = authenticate(tokens, headers, page=page)
        except ApiError as error:
            if error.reason == "authError":  # a token was sent
                self._failed(client)
            raise
        self._remember(client, headers)
        return holder

    def _is_known(self, client: str, headers: Mapping[str, str]) -> bool:
        return _digest(headers) in self._known.get(client, ())

    def _remember(self, client: str, headers: Mapping[str, str]) -> None:
        known = self._known.get(client)
        if known is None:
            known = self._known[client] = OrderedDict()
            if len(self._known) > MAX_CLIENTS:
                self._known.popitem(last=False)
        digest = _digest(headers)
        if digest not in known:
            known[digest] = None
            if len(known) > KNOWN_TOKENS:
                known.popitem(last=False)

    async def _wait(self, record: _Record) -> None:
        """Wait for the client's turn. Its attempts are made one after another, however many connections it uses."""
        now = trio.current_time()
        if record.free_at > now + MAX_WAIT:
            raise ApiError(429, "this client sent too many wrong tokens; wait a few seconds, then send the right one")
        doublings = min(record.failures + record.waiting - FREE_ATTEMPTS, 30)
        record.free_at = max(record.free_at, now) + min(FIRST_DELAY * 2.0**doublings, MAX_DELAY)
        record.waiting += 1
        try:
            await trio.sleep_until(record.free_at)
        finally:
            record.waiting -= 1

    def _failed(self, client: str) -> None:
        record = self._records.pop(client, None) or _Record()
        record.failures += 1
        record.last_failure = trio.current_time()
        self._records[client] = record  # at the end: the order is that of the last failures
        if len(self._records) > MAX_CLIENTS:
            self._records.popitem(last=False)
        if _is_reported(record.failures):
            self._report(client, record)

    def _report(self, client: str, record: _Record) -> None:
        limit = self._log
        if record.last_failure > limit.minute + MINUTE:
            limit.minute, limit.lines = record.last_failure, 0
        limit.lines += 1
        if limit.lines > LOG_LINES:
            limit.left_out += 1
            return
        left_out = f", {limit.left_out} earlier lines left out" if limit.left_out else ""
        limit.left_out = 0
        log.warning("wrong token: client %s, attempt %d%s", client, record.failures, left_out)


def _is_reported(failures: int) -> bool:
    """Return whether this failure of a client is logged: the first, the tenth, the hundredth …"""
    while failures >= 10 and failures % 10 == 0:
        failures //= 10
    return failures == 1


def _digest(headers: Mapping[str, str]) -> bytes:
    """Return what is kept of a token in memory."""
    return hashlib.sha256((token_of(headers) or "").encode("utf-8", "surrogatepass")).digest()
