"""A URL → the store: SQLite for a single host, Redis for several. Both implement stores/interface.py."""

from __future__ import annotations

from emulator.stores.interface import TOMBSTONE_SECONDS, Store
from emulator.stores.redis.store import RedisStore
from emulator.stores.sqlite.store import SqliteStore


def open_store(url: str, tombstone_seconds: int = TOMBSTONE_SECONDS) -> Store:
    """Return the store at `url`: `sqlite:///FILE`, or a Redis URL as described in redis/connection.py.

    The ID of a deleted task stays reserved for `tombstone_seconds`. Raises ValueError for any other URL,
    StoreUnavailableError if the store can't be opened.
    """
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"), tombstone_seconds)
    if url.startswith(("redis://", "rediss://", "unix://", "redis+sentinel://")):
        return RedisStore(url, tombstone_seconds)
    # What follows the scheme of a URL with @ or ? may be a password.
    shown = f"{url.partition(':')[0]}:…" if set("@?") & set(url) else url
    raise ValueError(
        f"store is {shown[:80]!r}; allowed: sqlite:///FILE, redis://HOST:PORT/DB, rediss://…, unix://…, "
        "redis+sentinel://HOST:PORT,HOST2:PORT2/SERVICE/DB"
    )
