"""A script or command → its reply from Redis, or StoreUnavailableError, within a bounded time.

If a reply is lost after its script was executed, the script must not run a second time. Therefore redis-py's
retries are disabled: the caller gets StoreUnavailableError and decides. The one exception is an error of a replica:
it means that nothing was executed.

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

from emulator.stores.interface import StoreUnavailableError
from emulator.stores.redis.failures import refused_by_replica, shortened, unavailable

log = logging.getLogger(__name__)
# Switching to a thread and back takes more CPU time than a call to a Redis on the same host. The duration of a call is
# estimated as the shortest of the last few, because contention between threads slows down the others. Before the first
# call and after a failure, Redis is assumed to be slow.
MAX_INLINE_SECONDS = 0.0005
SLOW_SECONDS = 1.0
ESTIMATE_GROWTH = 1.2  # factor per call, so that an old minimum loses its weight
LUA = Path(__file__).parent / "lua"
WITHOUT_PRELUDE = ("add_queues", "lock", "register")  # their keys are not those of a queue


class RedisCalls:
    """Calls through one client."""

    def __init__(self, client: Any) -> None:
        self.client = client
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
        return self._fastest < MAX_INLINE_SECONDS

    @property
    def verified(self) -> bool:
        """Whether no connection was opened since the last call of `note_verified`, so Redis was not restarted."""
        return bool(self.client.connection_pool.connects == self._verified_connects)

    def note_verified(self) -> None:
        """Record that the data in Redis is what this process expects."""
        self._verified_connects = self.client.connection_pool.connects

    def run(self, verb: str, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Run a script and return its reply. Raises StoreUnavailableError."""
        started = time.perf_counter()
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
        self._fastest = min(time.perf_counter() - started, self._fastest * ESTIMATE_GROWTH)
        return reply

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Translate the errors of redis-py. While Redis hangs, admit one thread only. Raises StoreUnavailableError."""
        hanging = self._hanging
        attempting = hanging is not None
        if attempting and not self._attempt.acquire(blocking=False):
            raise StoreUnavailableError(hanging)
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
        finally:
            if attempting:
                self._attempt.release()

    def drop_connections(self) -> None:
        """Make every connection reconnect before its next use."""
        self.client.connection_pool.drop()

    def close(self) -> None:
        """Close all connections."""
        self.client.close()
        self.client.connection_pool.disconnect()
