"""Notifications between the processes that share a SQLite file: one UDP datagram each, on the loopback interface.

SQLite has no notifications, and polling it every few milliseconds would keep an idle machine busy. So each process
that listens opens a socket and registers its port in a table of the file. A process that adds work to an awaited
queue sends the name of the queue to these ports. If a datagram is lost, or can't reach a process in another
container, the only effect is a short delay, because waiting leases also poll periodically.
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
REGISTRATION_SECONDS = 120  # lifetime of a registration, so that those of killed processes expire
RENEWAL_SECONDS = 60
RETRY_SECONDS = 5  # after a registration that failed
STOP_SECONDS = 3  # to wait for the thread
DATAGRAM_BYTES = 4096  # a project and a queue have up to 100 characters each

Notify = Callable[[QueueKey | None], None]


class Notifications:
    """Sends and receives the notifications of one process.

    `register(port, lifetime_us)` stores the registration of a port in the file; a lifetime of 0 removes it.
    """

    def __init__(self, register: Callable[[int, int], None]) -> None:
        self._register = register
        self._listeners: list[Notify] = []
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def listen(self, notify: Notify) -> None:
        """Call `notify` for every notification, and once with None after this process is registered."""
        self._listeners.append(notify)
        if self._socket is None:
            try:
                self._socket = _receiver()
            except OSError as error:
                log.warning("no notifications from other processes: %s", error)
            else:
                renew_after = self._registered()
                self._thread = threading.Thread(
                    target=self._receive, args=(renew_after,), name="sqlite-notifications", daemon=True
                )
                self._thread.start()
        notify(None)

    @property
    def port(self) -> int:
        """The port that receives datagrams, 0 if this process doesn't listen."""
        return 0 if self._socket is None else int(self._socket.getsockname()[1])

    def notify(self, queue: QueueKey | None) -> None:
        """Notify the listeners in this process."""
        for notify in self._listeners:
            notify(queue)

    def _registered(self) -> float:
        """Register the port; return the seconds until it should be registered again."""
        try:
            self._register(self.port, REGISTRATION_SECONDS * SECOND)
        except StoreUnavailableError as error:
            log.warning("registration for notifications failed: %s", error)
            return RETRY_SECONDS
        return RENEWAL_SECONDS

    def _receive(self, renew_after: float) -> None:
        assert self._socket is not None
        renew_at = time.monotonic() + renew_after
        while not self._closing.is_set():
            self._socket.settimeout(max(0.001, renew_at - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                datagram = self._socket.recv(DATAGRAM_BYTES)
                if not self._closing.is_set():
                    self.notify(_queue(datagram))
            if time.monotonic() >= renew_at and not self._closing.is_set():
                renew_at = time.monotonic() + self._registered()

    def close(self) -> None:
        """Stop listening and remove the registration."""
        if self._socket is not None and self._thread is not None:
            self._closing.set()
            send([self.port], None)  # wakes the thread
            self._thread.join(STOP_SECONDS)
            try:
                self._register(self.port, 0)
            except StoreUnavailableError as error:
                log.warning(
                    "registration for notifications not removed, expires in %d s: %s", REGISTRATION_SECONDS, error
                )
            self._socket.close()


def _receiver() -> socket.socket:
    """Return a socket that receives datagrams on a free port. Raises OSError."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        receiver.bind((LOOPBACK, 0))
    except OSError:
        receiver.close()
        raise
    return receiver


def send(ports: list[int], queue: QueueKey | None) -> None:
    """Send a notification to each port, without blocking."""
    message = b"" if queue is None else msgspec.json.encode([queue.project, queue.name])
    # The buffer is full, the process has ended, or there are no file descriptors. Waiting leases poll anyway.
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for port in ports:
            with contextlib.suppress(OSError):
                sender.sendto(message, (LOOPBACK, port))


def _queue(datagram: bytes) -> QueueKey | None:
    """Return the queue named in a datagram. Any program can send one: if it is malformed, it means any queue."""
    try:
        return QueueKey(*msgspec.json.decode(datagram, type=tuple[str, str]))
    except msgspec.DecodeError:
        return None
