"""Notifications that an awaited queue may have work, received through one Redis subscription per process.

redis-py does not support Trio, so a thread listens on behalf of all waiting leases in the process. It blocks on
the socket and wakes once per second. Messages published while the connection is down are lost; therefore every new
subscription notifies all queues. A connection over which nothing arrives is checked with a ping, and replaced if there
is no reply. It is also replaced when another call or a health check has found that connections lead to an old master.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis

from emulator.stores.interface import QueueKey
from emulator.stores.redis.failures import shortened

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0  # after which the thread notices that it has to stop
SILENCE_SECONDS = 30.0  # after which the connection is checked with a ping, and again until it is given up
RESUBSCRIBE_SECONDS = 0.5  # between two attempts to subscribe
STOP_SECONDS = 2.0  # for the thread to stop; if Redis hangs, it needs longer, and is left behind

Notify = Callable[[QueueKey | None], None]


class RedisNotifications:
    """A subscription to `channel`, whose messages are queue names; it begins with the first listener."""

    def __init__(self, client: Any, channel: str, queue_of: Callable[[str], QueueKey]) -> None:
        self._client = client
        self._channel = channel
        self._queue_of = queue_of
        self._listeners: list[Notify] = []
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._subscribed = True

    def add(self, notify: Notify) -> None:
        """Call `notify` for every message, from the thread that listens; None stands for any queue."""
        self._listeners.append(notify)
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="redis-notifications", daemon=True)
            self._thread.start()

    def _listen(self) -> None:
        while not self._closing.is_set():
            with self._client.pubsub() as subscription:
                try:
                    subscription.subscribe(self._channel)
                    self._receive(subscription)
                except redis.RedisError as error:
                    if self._subscribed and not self._closing.is_set():
                        log.info("subscription lost, subscribing again: %s", shortened(error))
                    self._subscribed = False
                    self._closing.wait(RESUBSCRIBE_SECONDS)

    def _receive(self, subscription: Any) -> None:
        heard, pinged = time.monotonic(), False
        while not self._closing.is_set():
            message = subscription.get_message(timeout=POLL_SECONDS)
            if message is None:
                silent = time.monotonic() - heard
                if pinged and silent > 2 * SILENCE_SECONDS:
                    raise redis.ConnectionError(f"no message for {silent:.0f} s")
                if not pinged and silent > SILENCE_SECONDS:
                    subscription.ping()
                    pinged = True
            else:
                heard, pinged = time.monotonic(), False
                self._process(message)
            if subscription.connection.epoch != self._client.connection_pool.epoch:
                raise redis.ConnectionError("the connections were dropped")

    def _process(self, message: Any) -> None:
        if message["type"] == "subscribe":
            if not self._subscribed:
                log.info("subscribed again")
            self._subscribed = True
            self._notify(None)
        elif message["type"] == "message":
            self._notify(self._queue_of(message["data"]))

    def _notify(self, queue: QueueKey | None) -> None:
        for notify in self._listeners:
            notify(queue)

    def close(self) -> bool:
        """Stop listening. Return False if the thread waits for a Redis that hangs, and still uses its connection."""
        self._closing.set()
        if self._thread is None:
            return True
        self._thread.join(STOP_SECONDS)
        return not self._thread.is_alive()
