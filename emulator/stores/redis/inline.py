"""A script → its reply, on the event loop, which never waits longer than INLINE_SECONDS.

Most replies arrive sooner than a thread could be started. The event loop has a connection of its own, with a short
timeout, on which one script is run at a time. It is connected by threads only, because connecting can take seconds.

If the reply doesn't arrive in time, the script may have been executed, so it must not be sent again. The caller gets
StorePendingError and repeats the operation in a thread: there, the same script waits for that reply.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import redis

from emulator.stores.interface import StoreBusyError, StorePendingError

INLINE_SECONDS = 0.02  # to wait on the event loop for each part of a reply
T = TypeVar("T")


@dataclass(slots=True)
class PendingReply:
    """The reply to a script that was sent on the event loop."""

    command: tuple[Any, ...]
    connection: Any
    deadline: float  # of time.monotonic

    def receive(self) -> Any:
        """Wait for the reply and return it. Raises redis.RedisError."""
        while True:
            try:
                return self.connection.read_response(disconnect_on_error=False)
            except redis.ResponseError:
                raise
            except redis.TimeoutError:
                if time.monotonic() >= self.deadline:
                    self.connection.disconnect()
                    raise
            except redis.RedisError:
                self.connection.disconnect()
                raise


class _Thread(threading.local):
    """What the current thread does: an operation on the event loop, or one whose script was sent there."""

    on_event_loop = False
    reply: PendingReply | None = None


class InlineConnection:
    """The connection of the event loop. `client` was made with INLINE_SECONDS; a reply may take `seconds` in all."""

    def __init__(self, client: redis.Redis, seconds: float) -> None:
        self._client = client
        self.pool: Any = client.connection_pool
        self._seconds = seconds
        self._connection: Any = None
        self._connecting = threading.Lock()
        self._thread = _Thread()

    @property
    def ready(self) -> bool:
        """Whether it is connected and not in use."""
        return self._connection is not None

    @property
    def on_event_loop(self) -> bool:
        """Whether the current thread is that of the event loop, and must not wait."""
        return self._thread.on_event_loop

    def call(self, method: Callable[..., T], *arguments: object) -> T:
        """Call a method that runs its scripts here."""
        self._thread.on_event_loop = True
        try:
            return method(*arguments)
        finally:
            self._thread.on_event_loop = False

    def connect(self) -> None:
        """Connect if necessary; in a thread. Does not raise: without it, calls run in threads."""
        if self._connection is not None or not self._connecting.acquire(blocking=False):
            return
        try:
            self._connection = self.pool.get_connection()
        except redis.RedisError:
            return
        finally:
            self._connecting.release()

    def run(self, sha: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Run a script and return its reply; on the event loop.

        Raises StoreBusyError if nothing was executed, StorePendingError, redis.RedisError.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            raise StoreBusyError("the connection of the event loop is not available")
        command = (sha, len(keys), *keys, *arguments)
        try:
            if connection.epoch != self.pool.epoch or connection.can_read():  # it was closed
                raise redis.ConnectionError
            connection.send_command("EVALSHA", *command)
        except (redis.ConnectionError, redis.TimeoutError):
            self._discard(connection)
            raise StoreBusyError("the connection of the event loop was lost") from None
        try:
            reply = connection.read_response(disconnect_on_error=False)
        except redis.TimeoutError:
            pending = PendingReply(command, connection, time.monotonic() + self._seconds)
            raise StorePendingError(lambda call: self._resume(pending, call)) from None
        except redis.ResponseError:
            self._connection = connection
            raise
        except redis.RedisError:
            self._discard(connection)
            raise
        self._connection = connection
        return reply

    def _resume(self, pending: PendingReply, call: Callable[[], T]) -> T:
        """Repeat an operation in a thread, with the reply to the script that it has already sent."""
        self._thread.reply = pending
        try:
            return call()
        finally:
            if self._thread.reply is not None:  # the operation failed before it used the reply
                self._thread.reply = None
                pending.connection.disconnect()
            self.pool.release(pending.connection)

    def resumed(self, sha: str, keys: Sequence[str], arguments: Sequence[str | int]) -> PendingReply | None:
        """Return the reply that this thread is to wait for, if it is that to this script."""
        pending = self._thread.reply
        if pending is None or pending.command != (sha, len(keys), *keys, *arguments):
            return None
        self._thread.reply = None
        return pending

    def _discard(self, connection: Any) -> None:
        connection.disconnect()
        self.pool.release(connection)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
        self.pool.disconnect()
