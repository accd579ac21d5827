"""Leases that are held until there is a task: the standard header `Prefer: wait=N` (RFC 7240).

Those who wait for one queue stand in a line. When the store rings (a task came, was given back, fell due by
the clock being moved), the first looks; having found something it sends the next, for there may be more.
Having found nothing it sends only those who want another tag: a task wakes one who waits, not all.
What falls due by itself rings nobody: the first in line knows from the store when that is, and looks then.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import trio

from emulator.stores.interface import SECOND, LeaseOrder, QueueKey, Store, Task

MAX_WAIT = 60  # s
# Rings can be lost (a connection to Redis, a process in another container): the first in line looks then anyway.
POLL_INTERVAL = 1.0

Ask = Callable[..., Awaitable[Any]]


def wait_preference(header: str) -> int:
    """Return the seconds that a Prefer header asks to wait, at most 60; 0 when it doesn't ask."""
    for preference in header.split(","):
        match = re.fullmatch(r"\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*", preference, re.IGNORECASE | re.ASCII)
        if match:
            return min(int(match[1]), MAX_WAIT)
    return 0


@dataclass(eq=False, slots=True)
class _Waiter:
    """One who stands in a line. `wants` is equal for those whom the same task would serve."""

    wants: tuple[bool, str | None]
    turn: bool = False
    called: trio.Event = field(default_factory=trio.Event)

    def call(self, *, turn: bool) -> None:
        self.turn = self.turn or turn
        self.called.set()


@dataclass(eq=False, slots=True)
class _Line:
    """Those who wait for one queue, first come first served; one of them looks at a time."""

    waiters: list[_Waiter] = field(default_factory=list)
    looking: _Waiter | None = None
    rung_again: bool = False
    asked: set[tuple[bool, str | None]] = field(default_factory=set)
    alarm: float = math.inf

    def ring(self) -> None:
        """Begin a round of looks, or another one after that which goes on."""
        if self.looking is not None:
            self.rung_again = True
        else:
            self.asked.clear()
            self.send_next()

    def send_next(self) -> None:
        """Let the next look who has a chance. Nobody: the round is over."""
        self.looking = next((waiter for waiter in self.waiters if waiter.wants not in self.asked), None)
        if self.looking is not None:
            self.looking.call(turn=True)
        elif self.rung_again:
            self.rung_again = False
            self.ring()

    def found_nothing(self, waiter: _Waiter) -> None:
        """Go on with the round: those who want the same needn't look."""
        self.asked.add(waiter.wants)
        self.send_next()

    def leave(self, waiter: _Waiter) -> None:
        """Take one out of the line, whose turn passes on: where it found something there may be more."""
        self.waiters.remove(waiter)
        if self.looking is waiter:
            self.send_next()
        if self.waiters:
            self.waiters[0].call(turn=False)  # being the first, it minds the alarm now


class Waiters:
    """Who waits for which queue, in this process. `ask` calls a verb of the store without blocking the loop."""

    def __init__(self, store: Store, ask: Ask) -> None:
        self._store = store
        self._ask = ask
        self._lines: dict[QueueKey, _Line] = {}
        self._watching = False

    async def lease(self, queue: QueueKey, order: LeaseOrder, seconds: float) -> list[Task]:
        """Lease tasks, and wait for some at most so many seconds while there are none."""
        if seconds == 0:
            return list(await self._ask(self._store.lease, queue, order))
        deadline = trio.current_time() + seconds
        self._watch()
        line = self._lines.setdefault(queue, _Line())
        waiter = _Waiter((order.group_by_tag, order.tag))
        line.waiters.append(waiter)
        try:
            return await self._wait(queue, replace(order, awaited=True), line, waiter, deadline)
        finally:
            line.leave(waiter)
            if not line.waiters:
                self._lines.pop(queue, None)

    async def _wait(
        self, queue: QueueKey, order: LeaseOrder, line: _Line, waiter: _Waiter, deadline: float
    ) -> list[Task]:
        waiter.turn = True  # whoever comes looks at once
        while True:
            if waiter.turn:
                sent = line.looking is waiter  # not so for the first look, of which the line doesn't know
                waiter.turn = False
                waiter.called = trio.Event()
                tasks: list[Task] = await self._ask(self._store.lease, queue, order)
                if tasks:
                    await self._give_back_if_cancelled(queue, tasks)
                    return tasks
                line.alarm = trio.current_time() + await self._next_look(queue)
                if sent:
                    line.found_nothing(waiter)
            if trio.current_time() >= deadline:
                return []
            first = line.waiters[0] is waiter
            with trio.move_on_at(min(deadline, line.alarm) if first else deadline):
                await waiter.called.wait()
            if waiter.called.is_set():
                waiter.called = trio.Event()
            elif trio.current_time() < deadline:
                line.alarm = trio.current_time() + POLL_INTERVAL
                line.ring()

    async def _give_back_if_cancelled(self, queue: QueueKey, tasks: list[Task]) -> None:
        """Release what was leased for a client that went away while the store was asked; nobody would work on it."""
        if trio.current_effective_deadline() == -math.inf:
            with trio.CancelScope(shield=True):
                for task in tasks:
                    await self._ask(self._store.renew, queue, task.id, task.eta_us, 0)
            await trio.lowlevel.checkpoint()

    async def _next_look(self, queue: QueueKey) -> float:
        """Return the seconds until something falls due by itself, or until it is time to look anyway."""
        due_in: int | None = await self._ask(self._store.due_in, queue)
        return POLL_INTERVAL if due_in is None else min(due_in / SECOND, POLL_INTERVAL)

    def _watch(self) -> None:
        """Hear of what other processes do, from the first time on that somebody waits."""
        if self._watching:
            return
        token = trio.lowlevel.current_trio_token()

        def ring(queue: QueueKey | None) -> None:
            # The store may still ring when the loop has ended and nobody waits any more.
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(self.wake, queue, idempotent=True)

        self._store.watch(ring)
        self._watching = True

    def wake(self, queue: QueueKey | None) -> None:
        """Let those look who wait for this queue, or for any."""
        if queue is None:
            for line in list(self._lines.values()):
                line.ring()
        elif queue in self._lines:
            self._lines[queue].ring()
