"""A URL → the store: SQLite for a single host, Redis for several. Both implement stores/interface.py."""

from __future__ import annotations

from emulator.stores.interface import TOMBSTONE_SECONDS, Store
from emulator.stores.redaction import keep_secret, shown_url
from emulator.stores.redis.store import RedisStore
from emulator.stores.sqlite.store import SqliteStore


def open_store(url: str, tombstone_seconds: int = TOMBSTONE_SECONDS) -> Store:
    """Return the store at `url`: `sqlite:///FILE`, or a Redis URL as described in redis/connection.py.

    The ID of a deleted task stays reserved for `tombstone_seconds`. Raises ValueError for any other URL,
    StoreUnavailableError if the store can't be opened.
    """
    keep_secret(url)
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"), tombstone_seconds)
    if url.startswith(("redis://", "rediss://", "unix://", "redis+sentinel://")):
        return RedisStore(url, tombstone_seconds)
    raise ValueError(
        f"store is {shown_url(url)}; allowed: sqlite:///FILE, redis://HOST:PORT/DB, rediss://…, unix://…, "
        "redis+sentinel://HOST:PORT,HOST2:PORT2/SERVICE/DB"
    )
