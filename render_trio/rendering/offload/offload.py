"""How a render leaves the event loop: in a thread, or in a process that can be killed.

A thread can't be killed: one that hangs is left behind and counted, and past a limit the whole service has
to be replaced. A process can, so a render that hangs, explodes or crashes costs only its own attempt. To
the outside both behave the same: tests/contracts/offload_contract.py runs against either.
"""

from __future__ import annotations

from typing import Protocol

from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.process import ProcessOffload, process_offload
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.pipeline import produce
from resources.request import Request

__all__ = ["Offload", "ProcessOffload", "ThreadOffload", "process_offload", "produce"]


class Offload(Protocol):
    """Where documents are made."""

    @property
    def abandoned(self) -> int:
        """Threads that were left behind and have not ended yet."""
        ...

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        """Return the document, made within `seconds`.

        Raises RenderTimedOutError, RenderCrashedError, RenderFailedError; FatalError when too many threads
        hang, or the machine gives no process. Cancelled, it ends at once, and what was begun comes to nothing.
        """
        ...

    def beside(self, workers: int) -> Offload:
        """Return another of the same kind, with a capacity of its own: neither takes the other's places."""
        ...
