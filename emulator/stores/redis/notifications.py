"""Who is told when a queue that somebody waits for may have work: one subscription a process.

redis-py knows no Trio, so a thread listens, one for all who wait in this process. It sleeps in the kernel
until Redis says something. What is published while the connection is down is lost: a fresh subscription
rings for every queue.
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
SILENCE_SECONDS = 30  # after which the connection is asked whether it still lives
RESUBSCRIBE_SECONDS = 0.5  # between two tries to subscribe
END_SECONDS = 2  # that the thread may take to end; without Redis it can't be woken

Ring = Callable[[QueueKey | None], None]


class RedisWatch:
    """Listens on a channel whose messages name queues, once there is somebody to ring for."""

    def __init__(self, client: Any, channel: str, queue_of: Callable[[str], QueueKey]) -> None:
        self._client = client
        self._channel = channel
        self._queue_of = queue_of
        self._rings: list[Ring] = []
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._own_channel = f"{channel}:{uuid.uuid4().hex}"

    def add(self, ring: Ring) -> None:
        """Ring this one too."""
        self._rings.append(ring)
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="redis-watch", daemon=True)
            self._thread.start()

    def _listen(self) -> None:
        while not self._closing.is_set():
            with self._client.pubsub() as subscription:
                try:
                    subscription.subscribe(self._channel, self._own_channel)
                    self._hear(subscription)
                except redis.RedisError as error:
                    if not self._closing.is_set():
                        log.info("the store tells nothing now, asking again: %s", error)
                        self._closing.wait(RESUBSCRIBE_SECONDS)

    def _hear(self, subscription: Any) -> None:
        asked = False
        while not self._closing.is_set():
            message = subscription.get_message(timeout=SILENCE_SECONDS)
            if message is None:
                if asked:
                    raise redis.ConnectionError(f"silent for {2 * SILENCE_SECONDS} s")
                subscription.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "subscribe" and message["channel"] == self._channel:
                self._ring(None)
            elif message["type"] == "message" and message["channel"] == self._channel:
                self._ring(self._queue_of(message["data"]))

    def _ring(self, queue: QueueKey | None) -> None:
        for ring in self._rings:
            ring(queue)

    def close(self) -> None:
        """Listen no more."""
        self._closing.set()
        if self._thread is not None:
            try:
                self._client.publish(self._own_channel, "end")
            except redis.RedisError as error:
                log.info("the store is gone before its listener: %s", error)
            self._thread.join(END_SECONDS)
