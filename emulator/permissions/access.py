"""The rules of the queue file and the token file, applied to a call: which queues exist, and what is permitted.

Without a queue file, queues are created on first use. Without a token file, everything is permitted, except the
verbs for tests, which must then be enabled by an option. With a token file but no queue file, every token permits
the use of every queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from emulator.permissions.queue_file import QueueFile, QueueRule
from emulator.permissions.tokens import ADMIN, METRICS, Tokens, token_of
from emulator.stores.interface import QueueKey
from emulator.wire.calls import Call
from emulator.wire.errors import ApiError


class Need(Enum):
    """The permission that a call needs."""

    INSERT = auto()  # writers and users of the queue
    USE = auto()  # users of the queue: lease, renew, delete, read
    MANAGE = auto()  # the administrator: purge, pause, the web pages
    METRICS = auto()
    TEST = auto()  # reset, clock


@dataclass(frozen=True, slots=True)
class Access:
    """The access rules. `test_verbs` enables the verbs for tests if there is no token file."""

    queues: QueueFile | None = None
    tokens: Tokens | None = None
    test_verbs: bool = False

    def rule(self, queue: QueueKey) -> QueueRule:
        """Return the rule of a queue. Raises ApiError if the queue does not exist."""
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
        """Raise ApiError (401, 403, 404) unless the call has this permission, on this queue if one is given."""
        holder = ADMIN if self.tokens is None else call.holder
        if holder is None and self.tokens is not None:
            holder = authenticate(self.tokens, call.headers, page=need is Need.MANAGE)
        rule = None if queue is None else self.rule(queue)
        if self.tokens is None and need is Need.TEST and not self.test_verbs:
            raise ApiError(403, "this verb is for tests; start the service with --test-verbs or a token file")
        if holder == ADMIN or (holder == METRICS and need is Need.METRICS):
            return
        if holder == METRICS or rule is None or need not in (Need.INSERT, Need.USE):
            raise ApiError(403, f"{holder} has no permission for this; use the token of '{ADMIN}' in the token file")
        if self.queues is None:
            return
        # As in App Engine, who may use a queue may also insert: a renderer leases tasks, and inserts their results.
        allowed, kind = (
            (rule.writers | rule.users, "writer_email") if need is Need.INSERT else (rule.users, "user_email")
        )
        if holder not in allowed:
            raise ApiError(
                403, f"{holder} has no permission for this; add it as {kind} to the acl of queue {rule.name}"
            )


def authenticate(tokens: Tokens, headers: Mapping[str, str], *, page: bool) -> str:
    """Return the holder of the token in the headers of a request.

    Raises ApiError (401) with the challenge for programs or, for a `page`, that with which a browser asks for a
    password.
    """
    token = token_of(headers)
    holder = None if token is None else tokens.holder(token)
    if holder is None:
        message = "the bearer token is missing" if token is None else "the bearer token is not in the token file"
        challenge = 'Basic realm="queues", charset="UTF-8"' if page else 'Bearer realm="queues"'
        raise ApiError(
            401,
            f"{message}; send Authorization: Bearer TOKEN",
            "required" if token is None else "authError",
            "Authorization",
            "header",
            (("WWW-Authenticate", challenge),),
        )
    return holder
