"""How the process ends: by signals that ask it to, and by timers when it can't end by itself.

First SIGTERM or SIGINT: drain, within a bound. Second: now. The timers are for what Trio can't end: a task
behind a shield, a thread that hangs. The watch over the event loop is for what stops Trio itself, and needs
neither the loop nor the interpreter's lock.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from types import FrameType

import structlog
import trio

EXIT_CLEAN, EXIT_FATAL, EXIT_HUNG, EXIT_SECOND_SIGNAL = 0, 1, 70, 130
LOOP_SECONDS = 60.0  # for which the event loop may stand still; a page that is drawn holds it for milliseconds
OBEYED = (signal.SIGTERM, signal.SIGINT)
log = structlog.get_logger(__name__)


def begin_hard_exit(seconds: float, code: int) -> None:
    """End the process in `seconds` whatever hangs, unless it has ended by then; the earliest timer wins."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


async def watch_loop(seconds: float = LOOP_SECONDS) -> None:
    """End the process, telling where each thread stands, when the event loop stands still for `seconds`.

    A process that was frozen from outside for longer ends as well: its leases have run out meanwhile.
    """
    try:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True, file=sys.stderr)
            await trio.sleep(seconds / 4)
    finally:
        faulthandler.cancel_dump_traceback_later()


class Signals:
    """SIGTERM and SIGINT from the moment the block is entered; what comes before `obey` runs is kept for it."""

    def __init__(self) -> None:
        self.told = trio.Event()
        self._early: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in OBEYED:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *ended: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Outside of `obey`: at the start the first one is kept, at the end one more changes nothing."""
        if self._early is not None and not self.told.is_set():
            os._exit(EXIT_SECOND_SIGNAL)
        self._early = number

    async def obey(self, seconds: float, *, task_status: trio.TaskStatus[None]) -> None:
        """Set `told` at the first signal, and see to it that the process ends within `seconds` of it."""
        with trio.open_signal_receiver(*OBEYED) as received:
            task_status.started()
            if self._early is not None:
                self._begin_end(self._early, seconds)
            async for number in received:
                if self.told.is_set():
                    log.warning("a second signal: ending now", signal=signal.Signals(number).name)
                    os._exit(EXIT_SECOND_SIGNAL)
                self._begin_end(number, seconds)

    def _begin_end(self, number: int, seconds: float) -> None:
        log.info("told to end", signal=signal.Signals(number).name)
        begin_hard_exit(seconds, EXIT_HUNG)
        self.told.set()
