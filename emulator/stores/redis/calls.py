"""A script or command → its reply from Redis, or StoreUnavailableError, within a bounded time.

If a reply is lost after its script was executed, the script must not run a second time. Therefore redis-py's
retries are disabled: the caller gets StoreUnavailableError and decides. The one exception is an error of a replica:
it means that nothing was executed.

The event loop waits only for INLINE_SECONDS (inline.py), and only for a script on one queue. Any other call raises
StoreBusyError there, and the operation is repeated in a thread.

While Redis hangs (it accepts connections and does not reply), one thread waits for a reply. All others fail at once,
so that callers don't wait for each other.

After a failover behind one address, open connections still lead to the old master. The first error of a replica makes
all connections reconnect.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from emulator.stores.interface import StoreBusyError, StorePendingError, StoreUnavailableError
from emulator.stores.redis.failures import refused_by_replica, shortened, unavailable
from emulator.stores.redis.inline import InlineConnection

log = logging.getLogger(__name__)
# Switching to a thread and back takes more CPU time than a call to a Redis on the same host. The duration of a call is
# estimated as the shortest of the last few, because contention between threads slows down the others. Before the first
# call and after a failure, Redis is assumed to be slow.
MAX_INLINE_SECONDS = 0.0005
SLOW_SECONDS = 1.0
ESTIMATE_GROWTH = 1.2  # factor per call, so that an old minimum loses its weight
LUA = Path(__file__).parent / "lua"
WITHOUT_PRELUDE = ("add_queues", "lock", "now", "permissions", "register")  # they don't use the tasks of a queue
ONLY_IN_THREADS = ("add_queues", "lock", "register")  # parts of operations that make several calls


class RedisCalls:
    """Calls through one client, and on the event loop through `inline` if given."""

    def __init__(self, client: Any, inline: InlineConnection | None = None) -> None:
        self.client = client
        self.inline = inline
        self._verified_connects = -1
        self._fastest = SLOW_SECONDS
        self._hanging: str | None = None
        self._attempt = threading.Lock()
        prelude = (LUA / "prelude.lua").read_text(encoding="utf-8")
        self._scripts = {
            path.stem: client.register_script(
                ("" if path.stem in WITHOUT_PRELUDE else prelude) + path.read_text(encoding="utf-8")
            )
            for path in LUA.glob("*.lua")
            if path.stem != "prelude"
        }

    @property
    def runs_inline(self) -> bool:
        """True while Redis answers fast; False before its first answer and after a failure."""
        return self._fastest < MAX_INLINE_SECONDS and self.inline is not None and self.inline.ready and self.verified

    @property
    def verified(self) -> bool:
        """Whether no connection was opened since the last call of `note_verified`, so Redis was not restarted."""
        return self._connects() == self._verified_connects

    def _connects(self) -> int:
        inline = 0 if self.inline is None else self.inline.pool.connects
        return int(self.client.connection_pool.connects + inline)

    def note_verified(self) -> None:
        """Record that the data in Redis is what this process expects."""
        self._verified_connects = self._connects()

    def run(self, verb: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Run a script and return its reply. Raises StoreUnavailableError; on the event loop also StorePendingError."""
        if self.inline is not None and self.inline.on_event_loop:
            return self._run_inline(self.inline, verb, keys, arguments)
        started = time.perf_counter()
        if self.inline is not None:
            pending = self.inline.resumed(self._scripts[verb].sha, keys, arguments)
            if pending is not None:
                with self._translated():
                    try:
                        return pending.receive()
                    except redis.RedisError as error:
                        if not _was_refused(error):
                            raise
        with self.reached():
            try:
                # If the script is unknown (NOSCRIPT), it was not executed: redis-py loads it and calls it again.
                reply = self._scripts[verb](keys=keys, args=arguments)
            except redis.RedisError as error:
                if not refused_by_replica(error):
                    raise
                log.warning("Redis is a read-only replica, connecting again: %s", shortened(error))
                self.drop_connections()
                reply = self._scripts[verb](keys=keys, args=arguments)
        self._note_seconds(time.perf_counter() - started)
        if self.inline is not None and self._fastest < MAX_INLINE_SECONDS:
            self.inline.connect()
        return reply

    def _run_inline(
        self, inline: InlineConnection, verb: str, keys: Sequence[str], arguments: Sequence[str | int]
    ) -> Any:
        """Run a script on the event loop. Raises StoreBusyError if that must be done in a thread."""
        if self._hanging is not None or verb in ONLY_IN_THREADS:
            raise StoreBusyError("this call runs in a thread")
        started = time.perf_counter()
        with self._translated():
            try:
                reply = inline.run(self._scripts[verb].sha, keys, arguments)
            except StorePendingError:
                self._fastest = SLOW_SECONDS
                raise
            except redis.RedisError as error:
                if not _was_refused(error):
                    raise
                if refused_by_replica(error):
                    inline.pool.drop()  # it may lead to an old master
                raise StoreBusyError("nothing was executed") from error
        self._note_seconds(time.perf_counter() - started)
        return reply

    def _note_seconds(self, seconds: float) -> None:
        self._fastest = min(seconds, self._fastest * ESTIMATE_GROWTH)

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Translate the errors of redis-py. While Redis hangs, admit one thread only. Raises StoreUnavailableError.

        On the event loop, it raises StoreBusyError at once.
        """
        if self.inline is not None and self.inline.on_event_loop:
            raise StoreBusyError("this call runs in a thread")
        hanging = self._hanging
        attempting = hanging is not None
        if attempting and not self._attempt.acquire(blocking=False):
            raise StoreUnavailableError(hanging)
        try:
            with self._translated():
                yield
        finally:
            if attempting:
                self._attempt.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate the errors of redis-py, and note whether Redis hangs. Raises StoreUnavailableError."""
        try:
            yield
            self._hanging = None
        except redis.RedisError as error:
            failure = unavailable(error)
            self._fastest = SLOW_SECONDS
            self._hanging = str(failure) if isinstance(error, redis.TimeoutError) else None
            if isinstance(error, redis.ConnectionError | redis.TimeoutError) or refused_by_replica(error):
                self.drop_connections()
            raise failure from error

    def drop_connections(self) -> None:
        """Make every connection reconnect before its next use."""
        self.client.connection_pool.drop()
        if self.inline is not None:
            self.inline.pool.drop()

    def close(self) -> None:
        """Close all connections."""
        self.client.close()
        self.client.connection_pool.disconnect()
        if self.inline is not None:
            self.inline.close()


def _was_refused(error: redis.RedisError) -> bool:
    """Return whether the script was not executed: Redis doesn't have it, or is a replica."""
    return isinstance(error, redis.exceptions.NoScriptError) or refused_by_replica(error)
