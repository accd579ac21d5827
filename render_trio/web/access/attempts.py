"""Tokens that clients present → accepted or not, and how long the response to a wrong one is delayed.

Each wrong token of a client delays the response longer, and the responses to one client are delayed one after another:
parallel attempts gain nothing. While too many of them wait, further tokens of the client aren't even compared. Other
clients aren't affected. A correct token is never delayed. It is refused only if it is new while so many attempts of its
client wait: programs that share an address with an attacker go on working with the tokens that they have used before.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog
import trio

from render_trio.web.access.tokens import Tokens, digest_of

FIRST_DELAY, MAX_DELAY = 0.25, 8.0  # s; doubles with each wrong token
MAX_WAIT = 5.0  # s that the last waiting response is delayed; then tokens of this client aren't compared
FORGET_SECONDS = 900.0  # without a wrong token, after which the next one counts as the first
MAX_CLIENTS = 10_000  # that are remembered, each taking about 300 bytes; the one idle longest is forgotten
MAX_ACCEPTED = 1000  # pairs of a client and its token
LOG_LINES, LOG_SECONDS = 20, 60.0  # wrong tokens that are logged within this time; the others are counted
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a token is accepted; if not, the delay of the response in s.

    `retry_after`: s after which the client may try again, if the token was not compared; otherwise 0.
    """

    accepted: bool
    delay: float = 0.0
    retry_after: int = 0


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = -math.inf
    waiting_until: float = -math.inf


class Attempts:
    """The clients that presented a wrong token recently, whichever setting the token is for."""

    def __init__(self, now: Callable[[], float] = trio.current_time) -> None:
        """`now` returns a time in s that never decreases."""
        self._now = now
        self._clients: OrderedDict[str, _Failures] = OrderedDict()
        self._accepted: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._logged = self._unlogged = 0
        self._logged_since = -math.inf

    def check(self, tokens: Tokens, token: str, client: str) -> Verdict:
        """Return the verdict on a token that the client of this name presents."""
        now, key = self._now(), (client, digest_of(token))
        failures = self._clients.get(client, _Failures())
        wait = failures.waiting_until - now
        if wait > MAX_WAIT and key not in self._accepted:
            return Verdict(False, retry_after=math.ceil(wait))
        if tokens.accept(token):
            self._accepted[key] = None
            self._accepted.move_to_end(key)
            if len(self._accepted) > MAX_ACCEPTED:
                self._accepted.popitem(last=False)
            return Verdict(True)
        self._accepted.pop(key, None)
        if now - failures.last > FORGET_SECONDS:
            failures = _Failures()
        delay = min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(failures.count, 10))
        failures.count += 1
        failures.last = now
        failures.waiting_until = max(now, failures.waiting_until) + delay
        self._clients[client] = failures
        self._clients.move_to_end(client)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        self._log(tokens.setting, client, failures.count, now)
        return Verdict(False, delay=failures.waiting_until - now)

    def _log(self, setting: str, client: str, count: int, now: float) -> None:
        if now - self._logged_since > LOG_SECONDS:
            self._logged, self._logged_since = 0, now
        if self._logged == LOG_LINES:
            self._unlogged += 1
            return
        log.warning("wrong token", setting=setting, client=client, attempts=count, unlogged=self._unlogged)
        self._logged += 1
        self._unlogged = 0
