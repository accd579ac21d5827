"""Notifications that an awaited queue may have work, received through one Redis subscription per process.

redis-py does not support Trio, so a thread listens on behalf of all waiting leases in the process. It blocks on
the socket and uses no CPU time while nothing happens. Messages published while the connection is down are lost;
therefore every new subscription notifies all queues.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any

import redis

from emulator.stores.interface import QueueKey

log = logging.getLogger(__name__)
SILENCE_SECONDS = 30  # after which the connection is checked with a ping
RESUBSCRIBE_SECONDS = 0.5  # between two attempts to subscribe
STOP_SECONDS = 2  # for the thread to stop; if Redis is down, nothing can interrupt it

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
        self._own_channel = f"{channel}:{uuid.uuid4().hex}"

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
                    subscription.subscribe(self._channel, self._own_channel)
                    self._receive(subscription)
                except redis.RedisError as error:
                    if not self._closing.is_set():
                        log.info("subscription lost, subscribing again: %s", error)
                        self._closing.wait(RESUBSCRIBE_SECONDS)

    def _receive(self, subscription: Any) -> None:
        pinged = False
        while not self._closing.is_set():
            message = subscription.get_message(timeout=SILENCE_SECONDS)
            if message is None:
                if pinged:
                    raise redis.ConnectionError(f"no message for {2 * SILENCE_SECONDS} s")
                subscription.ping()
                pinged = True
                continue
            pinged = False
            if message["type"] == "subscribe" and message["channel"] == self._channel:
                self._notify(None)
            elif message["type"] == "message" and message["channel"] == self._channel:
                self._notify(self._queue_of(message["data"]))

    def _notify(self, queue: QueueKey | None) -> None:
        for notify in self._listeners:
            notify(queue)

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        if self._thread is not None:
            try:
                self._client.publish(self._own_channel, "stop")  # wakes the thread
            except redis.RedisError as error:
                log.info("subscription not interrupted, the store is unreachable: %s", error)
            self._thread.join(STOP_SECONDS)
