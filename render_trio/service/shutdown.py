"""Shutdown: signals that request it, and timers that force it if the process can't exit on its own.

The first SIGTERM or SIGINT starts a bounded drain; a second one exits immediately. The timers end what Trio can't
cancel: a task inside a shield, a thread that hangs. The event-loop watchdog covers Trio itself being blocked; it
needs neither the event loop nor the interpreter's lock.

Exit codes: 0 after a clean shutdown; 1 if the service can't recover, or its event loop was blocked; 70 if the
shutdown took longer than SHUTDOWN_SECONDS; 130 after a second signal.
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
LOOP_SECONDS = 60.0  # that the event loop may be blocked; drawing a page in a thread blocks it for milliseconds
SHUTDOWN_SIGNALS = (signal.SIGTERM, signal.SIGINT)
log = structlog.get_logger(__name__)


def begin_hard_exit(seconds: float, code: int) -> None:
    """Exit with `code` after `seconds`, whatever hangs, unless the process has ended by then.

    With several timers, the earliest wins.
    """
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


async def watch_loop(seconds: float = LOOP_SECONDS) -> None:
    """Exit with code 1 and a traceback of every thread if the event loop is blocked for `seconds`.

    This includes a process that was suspended for longer (SIGSTOP, a paused machine): its leases have expired.
    """
    try:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True, file=sys.stderr)
            await trio.sleep(seconds / 4)
    finally:
        faulthandler.cancel_dump_traceback_later()


class Signals:
    """Receives SIGTERM and SIGINT from the moment the block is entered; one that arrives before `receive` is kept."""

    def __init__(self) -> None:
        self.shutdown_requested = trio.Event()
        self._early: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in SHUTDOWN_SIGNALS:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Keep a signal that arrives while `receive` isn't running.

        Before it, the first signal is kept and a second one exits; after it, the process is about to exit anyway.
        """
        if self._early is not None and not self.shutdown_requested.is_set():
            os._exit(EXIT_SECOND_SIGNAL)
        self._early = number

    async def receive(self, seconds: float, *, task_status: trio.TaskStatus[None]) -> None:
        """Set `shutdown_requested` at the first signal, and exit with EXIT_HUNG if shutdown exceeds `seconds`.

        Exits with EXIT_SECOND_SIGNAL at the second signal.
        """
        with trio.open_signal_receiver(*SHUTDOWN_SIGNALS) as received:
            task_status.started()
            if self._early is not None:
                self._request_shutdown(self._early, seconds)
            async for number in received:
                if self.shutdown_requested.is_set():
                    log.warning("second signal, exiting immediately", signal=signal.Signals(number).name)
                    os._exit(EXIT_SECOND_SIGNAL)
                self._request_shutdown(number, seconds)

    def _request_shutdown(self, number: int, seconds: float) -> None:
        log.info("shutdown requested", signal=signal.Signals(number).name)
        begin_hard_exit(seconds, EXIT_HUNG)
        self.shutdown_requested.set()
