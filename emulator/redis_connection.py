"""From a store's address to a Redis client that never asks twice."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

CONNECTIONS = 64  # as many as threads may ask at once; a further one waits for a place
CONNECT_SECONDS = 2
REPLY_SECONDS = 10  # a lease of 1,000 large tasks takes well under one


def connect(url: str) -> redis.Redis:
    """Return the client; nothing is connected yet. Raises ValueError for an address that can't be read."""
    options: dict[str, Any] = {
        "max_connections": CONNECTIONS,
        "timeout": CONNECT_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": REPLY_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
    }
    return redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(url, **options))
