"""Which queues there are, and who may do what: queue.yaml and the token file, applied to a call.

Without a queue file every queue is there, from its first use. Without a token file everybody may do
everything but the verbs for tests, which then need an option at the start. With tokens and no queue file,
every holder of a token may use every queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from emulator.permissions.queue_file import QueueFile, QueueRule
from emulator.permissions.tokens import ADMIN, METRICS, Tokens, token_of
from emulator.stores.interface import QueueKey
from emulator.wire.calls import Call
from emulator.wire.errors import ApiError


class Need(Enum):
    """What a call needs to be allowed."""

    INSERT = auto()  # the queue's writers
    USE = auto()  # the queue's users: lease, renew, delete, read
    MANAGE = auto()  # the administrator: purge, pause, the page
    METRICS = auto()
    TEST = auto()  # reset, clock


@dataclass(frozen=True, slots=True)
class Access:
    """The rules. `test_verbs` opens the verbs for tests when there are no tokens."""

    queues: QueueFile | None = None
    tokens: Tokens | None = None
    test_verbs: bool = False

    def rule(self, queue: QueueKey) -> QueueRule:
        """Return the queue's rule. Raises ApiError when there is no such queue."""
        if self.queues is None:
            return QueueRule(queue.name)
        rule = self.queues.rules.get(queue.name)
        if rule is None:
            if queue.name in self.queues.push:
                raise ApiError(
                    404, f"queue {queue.name} is a push queue in the queue file; only pull queues are served"
                )
            available = ", ".join(sorted(self.queues.rules)[:20])
            raise ApiError(404, f"queue {queue.name} is not in the queue file; available: {available}")
        return rule

    def check(self, call: Call, need: Need, queue: QueueKey | None = None) -> None:
        """Raise ApiError (401, 403, 404) unless the call may do this, on this queue."""
        holder = self._holder(call, need) if self.tokens is not None else ADMIN
        rule = None if queue is None else self.rule(queue)
        if self.tokens is None and need is Need.TEST and not self.test_verbs:
            raise ApiError(403, "this is for tests; start the service with --test-verbs, or with an admin token")
        if holder == ADMIN or (holder == METRICS and need is Need.METRICS):
            return
        if holder == METRICS or rule is None or need not in (Need.INSERT, Need.USE):
            raise ApiError(403, f"{holder} may not do this; use the token of '{ADMIN}' in the token file")
        if self.queues is None:
            return
        allowed, kind = (rule.writers, "writer_email") if need is Need.INSERT else (rule.users, "user_email")
        if holder not in allowed:
            raise ApiError(403, f"{holder} may not do this; it needs {kind} in the acl of queue {rule.name}")

    def _holder(self, call: Call, need: Need) -> str:
        """Return whose token the call bears. Raises ApiError."""
        token = token_of(call.headers)
        holder = None if token is None or self.tokens is None else self.tokens.holder(token)
        if holder is None:
            message = "the bearer token is missing" if token is None else "the token is not one of the token file"
            challenge = 'Basic realm="queues", charset="UTF-8"' if need is Need.MANAGE else 'Bearer realm="queues"'
            raise ApiError(
                401,
                f"{message}; send Authorization: Bearer TOKEN",
                "required" if token is None else "authError",
                "Authorization",
                "header",
                (("WWW-Authenticate", challenge),),
            )
        return holder
