"""Where tasks lie: SQLite for one host, Redis for several. The interface is emulator/store.py."""

from __future__ import annotations

from emulator.stores.interface import TOMBSTONE_SECONDS, Store
from emulator.stores.redis.store import RedisStore
from emulator.stores.sqlite.store import SqliteStore


def open_store(url: str, tombstone_seconds: int = TOMBSTONE_SECONDS) -> Store:
    """Return the store of this address: `sqlite:///FILE`, or Redis as redis_connection.py reads it.

    A deleted task's id stays taken for `tombstone_seconds`.
    Raises ValueError for any other address, StoreUnavailableError when it can't be opened.
    """
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"), tombstone_seconds)
    if url.startswith(("redis://", "rediss://", "unix://", "redis+sentinel://")):
        return RedisStore(url, tombstone_seconds)
    raise ValueError(
        f"store is {url[:80]!r}; allowed: sqlite:///FILE, redis://HOST:PORT/DB, rediss://…, unix://…, "
        "redis+sentinel://HOST:PORT,HOST2:PORT2/SERVICE/DB"
    )
