"""From a store's address to a Redis client that never asks twice.

`redis://HOST:PORT/DB`, `rediss://…` (TLS; `?ssl_ca_certs=FILE` names whom to trust), `unix://PATH?db=DB`, and
`redis+sentinel://HOST:PORT,HOST2:PORT2/SERVICE/DB`: sentinels that know where the service's master is now.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

CONNECTIONS = 64  # more than there are threads that ask
CONNECT_SECONDS = 2
REPLY_SECONDS = 10  # a lease of 1,000 large tasks takes well under one
SENTINEL_PORT = 26379
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


def connect(url: str) -> redis.Redis:
    """Return the client; nothing is connected yet. Raises ValueError for an address that can't be read."""
    options: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": REPLY_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
    }
    if url.startswith("redis+sentinel://"):
        return _by_sentinels(url, options)
    pool = redis.BlockingConnectionPool.from_url(url, max_connections=CONNECTIONS, timeout=CONNECT_SECONDS, **options)
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as error:
        raise ValueError(f"store is {url[:80]!r}, which has an option that there isn't: {error}") from None
    return redis.Redis(connection_pool=pool)


def _by_sentinels(url: str, options: dict[str, Any]) -> redis.Redis:
    allowed = "redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST2:PORT2/SERVICE/DB"
    parts = urlsplit(url)
    path = re.fullmatch(r"/([A-Za-z0-9._-]+)(?:/([0-9]{1,4}))?", parts.path)
    who, _, hosts = parts.netloc.rpartition("@")
    sentinels = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if path is None or parts.query or not all(sentinels):
        raise ValueError(f"store is {url[:80]!r}; allowed: {allowed}")
    addresses = [(found[1].strip("[]"), int(found[2] or SENTINEL_PORT)) for found in sentinels if found]
    user, _, password = who.partition(":")
    if who:
        options |= {"username": unquote(user) or None, "password": unquote(password) or None}
    asking = {name: options[name] for name in ("socket_connect_timeout", "socket_timeout", "retry")}
    asking |= {"socket_timeout": CONNECT_SECONDS, "decode_responses": True}
    watchers: Any = Sentinel(addresses, sentinel_kwargs=asking, **options)  # type: ignore[no-untyped-call]
    client: redis.Redis = watchers.master_for(path[1], db=int(path[2] or 0), max_connections=CONNECTIONS)
    return client
