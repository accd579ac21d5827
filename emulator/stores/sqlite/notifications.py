"""How processes that share a SQLite file tell each other of work: a datagram each, on the loopback.

SQLite itself tells nobody, and asking it every few milliseconds would keep an idle machine busy. So whoever
listens has a socket, and its port in a table of the file; whoever makes work for a queue that somebody waits
for sends the queue's name there. A datagram that gets lost, or can't reach a process in another container,
costs a moment: those who wait also look by themselves now and then.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable

import msgspec

from emulator.stores.interface import SECOND, QueueKey, StoreUnavailableError

log = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"
ENTRY_SECONDS = 120  # that an entry is good for: those of killed processes fade
RENEWAL_SECONDS = 60
DATAGRAM_BYTES = 4096  # a project and a queue have at most 100 characters each

Ring = Callable[[QueueKey | None], None]


class Bell:
    """The listener of one process. `enter(port, until_us)` keeps its entry in the file, 0 removes it."""

    def __init__(self, enter: Callable[[int, int], None]) -> None:
        self._enter = enter
        self._rings: list[Ring] = []
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def listen(self, ring: Ring) -> None:
        """Call `ring` from a thread for every datagram, and once as soon as others can know of us."""
        self._rings.append(ring)
        if self._socket is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((LOOPBACK, 0))
            self._socket.settimeout(RENEWAL_SECONDS)
            self._enter(self.port, _until())
            self._thread = threading.Thread(target=self._hear, name="sqlite-bell", daemon=True)
            self._thread.start()
        ring(None)

    @property
    def port(self) -> int:
        """The port that datagrams go to, 0 for none."""
        return 0 if self._socket is None else int(self._socket.getsockname()[1])

    def ring(self, queue: QueueKey | None) -> None:
        """Ring for those in this process."""
        for ring in self._rings:
            ring(queue)

    def _hear(self) -> None:
        assert self._socket is not None
        renew_at = time.monotonic() + RENEWAL_SECONDS
        while not self._closing.is_set():
            try:
                datagram = self._socket.recv(DATAGRAM_BYTES)
            except TimeoutError:
                datagram = None
            if datagram is not None and not self._closing.is_set():
                self.ring(_queue(datagram))
            if time.monotonic() >= renew_at and not self._closing.is_set():
                renew_at = time.monotonic() + RENEWAL_SECONDS
                try:
                    self._enter(self.port, _until())
                except StoreUnavailableError as error:
                    log.warning("others may not know that this process listens: %s", error)

    def close(self) -> None:
        """Listen no more."""
        if self._socket is not None and self._thread is not None:
            self._closing.set()
            send([self.port], None)  # wakes the thread
            self._thread.join()
            try:
                self._enter(self.port, 0)
            except StoreUnavailableError as error:
                log.warning("others send to this process for %d s more: %s", ENTRY_SECONDS, error)
            self._socket.close()


def send(ports: list[int], queue: QueueKey | None) -> None:
    """Send a datagram to each port, without waiting for anything."""
    message = b"" if queue is None else msgspec.json.encode([queue.project, queue.name])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for port in ports:
            # Full, or not there any more: whoever waits there looks by itself.
            with contextlib.suppress(OSError):
                sender.sendto(message, (LOOPBACK, port))


def _queue(datagram: bytes) -> QueueKey | None:
    """Return the queue that a datagram names. Anything could have sent it: what can't be read means any queue."""
    try:
        return QueueKey(*msgspec.json.decode(datagram, type=tuple[str, str]))
    except msgspec.DecodeError:
        return None


def _until() -> int:
    return time.time_ns() // 1000 + ENTRY_SECONDS * SECOND
