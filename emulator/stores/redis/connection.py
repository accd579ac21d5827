"""The URL of a store → a Redis client that never retries a command.

Supported URLs: `redis://HOST:PORT/DB`, `rediss://…` (TLS; `?ssl_ca_certs=FILE` names the trusted certificates),
`unix://PATH?db=DB`, and `redis+sentinel://HOST:PORT,HOST2:PORT2/SERVICE/DB`, which finds the current master of
a service through its sentinels.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from emulator.stores.redaction import keep_secret, redacted, shown_url

MAX_CONNECTIONS = 64  # more than the number of threads that use the store
CONNECT_SECONDS = 2
# A lease of 1,000 large tasks takes well under 1 s, but with `appendfsync everysec` a slow disk delays writes by 2 s.
REPLY_SECONDS = 3
SENTINEL_PORT = 26379
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")


class DroppableConnections:
    """A pool in which all connections can be declared stale: each reconnects when it is taken out for the next time.

    redis-py can only close them from outside, which breaks one that another thread takes out at that moment.
    """

    epoch = 0
    connects = 0  # how often a connection was opened

    def drop(self) -> None:
        """Declare all connections stale, including those in use."""
        self.epoch += 1

    def get_connection(self, *arguments: Any, **options: Any) -> Any:
        """Return a connection that was made after the last call of `drop`."""
        epoch = self.epoch
        connection = super().get_connection(*arguments, **options)  # type: ignore[misc]
        if not hasattr(connection, "epoch"):
            self.connects += 1
            connection.register_connect_callback(self._count)
        elif connection.epoch != epoch:
            connection.disconnect()
            try:
                connection.connect()
            except redis.RedisError:
                self.release(connection)  # type: ignore[attr-defined]
                raise
        connection.epoch = epoch
        return connection

    def _count(self, _: Any) -> None:
        self.connects += 1


class _Pool(DroppableConnections, redis.BlockingConnectionPool):
    """For one address."""


class _SentinelPool(DroppableConnections, SentinelConnectionPool):
    """For the current master of a Sentinel service."""


def connect(url: str, seconds: float = REPLY_SECONDS, connect_seconds: float = CONNECT_SECONDS) -> redis.Redis:
    """Return the client, which connects on first use and waits for a reply for up to `seconds`.

    Raises ValueError for a malformed URL.
    """
    keep_secret(url)
    options: dict[str, Any] = {
        "socket_connect_timeout": connect_seconds,
        "socket_keepalive": True,
        "socket_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
        "encoding_errors": "replace",  # what another program wrote to our keys must not cause a failure here
    }
    if url.startswith("redis+sentinel://"):
        return _by_sentinels(url, options)
    try:
        pool = _Pool.from_url(url, max_connections=MAX_CONNECTIONS, timeout=CONNECT_SECONDS, **options)
    except ValueError as error:
        raise ValueError(f"store is {shown_url(url)}, which is not a valid URL: {redacted(str(error))}") from None
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as error:
        raise ValueError(f"store is {shown_url(url)}, which has an unknown option: {redacted(str(error))}") from None
    return redis.Redis(connection_pool=pool)


def _by_sentinels(url: str, options: dict[str, Any]) -> redis.Redis:
    allowed = "redis+sentinel://[USER:PASSWORD@]HOST:PORT,HOST2:PORT2/SERVICE/DB"
    parts = urlsplit(url)
    path = re.fullmatch(r"/([A-Za-z0-9._-]+)(?:/([0-9]{1,4}))?", parts.path)
    credentials, _, hosts = parts.netloc.rpartition("@")
    sentinels = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if path is None or parts.query or not all(sentinels):
        raise ValueError(f"store is {shown_url(url)}; allowed: {allowed}")
    addresses = [(found[1].strip("[]"), int(found[2] or SENTINEL_PORT)) for found in sentinels if found]
    sentinel_options = options | {"socket_timeout": CONNECT_SECONDS}  # the credentials are those of the master
    user, _, password = credentials.partition(":")
    if credentials:
        options |= {"username": unquote(user) or None, "password": unquote(password) or None}
    sentinel: Any = Sentinel(addresses, sentinel_kwargs=sentinel_options, **options)  # type: ignore[no-untyped-call]
    client: redis.Redis = sentinel.master_for(
        path[1], db=int(path[2] or 0), max_connections=MAX_CONNECTIONS, connection_pool_class=_SentinelPool
    )
    return client
