"""How much of something clients may have at the same time: all of them together, and each one.

A quota counts any amount: requests that wait, tasks, bytes, event streams. The limit per client leaves room for others
when one client takes all it can. It must be generous, because a whole school can have one address.
"""

from __future__ import annotations

from render_trio.errors import RenderTrioError


class QuotaError(RenderTrioError):
    """A client would have more than the quota allows.

    `retry_after`: s after which it may try again; `own`: whether it used up its own share, rather than all the total.
    """

    code = "quota_exceeded"

    def __init__(self, message: str, retry_after: int, *, own: bool) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.own = own


class Quota:
    """Amounts in use by client. Only clients that have something take memory.

    None as the client stands for all programs with a token, which only the total limits.
    """

    def __init__(self, what: str, total: int, per_client: int, retry_after: int) -> None:
        """`what` names the things that are counted, such as "event streams", in messages."""
        self.what = what
        self.total = total
        self.per_client = per_client
        self.retry_after = retry_after
        self.used = 0
        self._by_client: dict[str | None, int] = {}

    def used_by(self, client: str | None) -> int:
        """Return the amount that a client has."""
        return self._by_client.get(client, 0)

    def take(self, client: str | None, amount: int = 1) -> None:
        """Add an amount to what a client has. Raises QuotaError if it exceeds the quota, and then adds nothing."""
        self.check(client, amount)
        self.adjust(client, amount)

    def check(self, client: str | None, amount: int = 1) -> None:
        """Raise QuotaError if this amount in addition to what the client has exceeds the quota."""
        if client is not None and self.used_by(client) + amount > self.per_client:
            raise QuotaError(
                f"{self.what} of this client: {self.per_client} allowed at a time", self.retry_after, own=True
            )
        if self.used + amount > self.total:
            raise QuotaError(f"{self.what} of all clients: {self.total} allowed at a time", self.retry_after, own=False)

    def adjust(self, client: str | None, change: int) -> None:
        """Change what a client has without a check: negative to give back, positive for what turned out to be more."""
        left = self.used_by(client) + change
        if left < 0:
            raise ValueError(f"{client} gives back {-change} {self.what}, but has only {self.used_by(client)}")
        self.used += change
        if left:
            self._by_client[client] = left
        else:
            self._by_client.pop(client, None)
