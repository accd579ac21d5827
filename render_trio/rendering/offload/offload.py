"""What an offload is: a way to run the pipeline outside the event loop, in a thread or in a process.

A thread can't be killed: one that hangs is abandoned and counted, and beyond a limit the whole service must be
replaced. A process can be killed, so a render that hangs, runs out of memory or crashes costs only its own attempt.
Otherwise both behave the same: tests/contracts/offload_contract.py runs against each.
"""

from __future__ import annotations

from typing import Protocol

from render_trio.rendering.finisher import FinishedDocument
from resources.request import Request


class Offload(Protocol):
    """Makes documents outside the event loop."""

    @property
    def abandoned(self) -> int:
        """The number of abandoned threads that have not exited yet."""
        ...

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        """Return the document, made within `seconds`.

        Raises RenderTimedOutError, RenderCrashedError, RenderFailedError; FatalError if too many threads hang or no
        process can be started. When cancelled, it ends at once and its document is discarded.
        """
        ...

    def with_capacity(self, workers: int) -> Offload:
        """Return an offload of the same kind with its own capacity: neither can use up the other's."""
        ...
