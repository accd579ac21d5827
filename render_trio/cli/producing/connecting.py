"""What both commands need: the queue of the environment variables, and signals that end a command in order."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import click
import trio

from render_trio.queue.task_queue.client import TaskQueue
from render_trio.service import composition
from render_trio.service.startup import check_credentials
from render_trio.settings import reading
from render_trio.settings.settings import Settings

EXIT_INCOMPLETE = 3  # the command did what it could; some results or documents need attention

T = TypeVar("T")


def with_queue(use: Callable[[TaskQueue, Settings], Awaitable[T]]) -> T:
    """Return what `use` returns for the queue and the settings that the environment variables name."""
    chosen = reading.read(os.environ)
    for warning in reading.former_names(os.environ):
        click.echo(f"Warning: {warning}", err=True)

    check_credentials(chosen)

    async def run() -> T:
        async with composition.open_queue(chosen) as queue:
            return await use(queue, chosen)

    return trio.run(run)


class Interruption:
    """Whether SIGINT or SIGTERM arrived. The second one cancels `scope`; the first one too, with `at_once`."""

    def __init__(self, scope: trio.CancelScope, at_once: bool) -> None:
        self.requested = False
        self._scope = scope
        self._at_once = at_once

    def interrupt(self) -> None:
        """Note a signal."""
        if self.requested or self._at_once:
            self._scope.cancel()
        self.requested = True


@asynccontextmanager
async def interruption(*, at_once: bool) -> AsyncIterator[Interruption]:
    """Note signals inside the block instead of raising KeyboardInterrupt."""

    async def receive(signals: AsyncIterator[int], noted: Interruption) -> None:
        async for _ in signals:
            noted.interrupt()

    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            noted = Interruption(nursery.cancel_scope, at_once)
            nursery.start_soon(receive, signals, noted)
            yield noted
            nursery.cancel_scope.cancel()
