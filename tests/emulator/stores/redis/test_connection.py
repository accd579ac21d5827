"""The URL of a Redis → the addresses, the database and the credentials; and connections that are replaced."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import redis

from emulator.stores.redis import connection as redis_connection
from render_trio.queue.client import Client
from tests.redis_faults import until
from tests.redis_server import RedisServer


def sentinel_pool(url: str) -> Any:
    return redis_connection.connect(url).connection_pool


@pytest.mark.parametrize(
    ("url", "addresses", "service", "database"),
    [
        ("redis+sentinel://one:1,two:2/queue/7", [("one", 1), ("two", 2)], "queue", 7),
        ("redis+sentinel://one/queue", [("one", 26379)], "queue", 0),
        ("redis+sentinel://[::1]:5,[::2]/a-b_c.d/15", [("::1", 5), ("::2", 26379)], "a-b_c.d", 15),
    ],
)
def test_a_sentinel_url_names_sentinels_service_and_database(
    url: str, addresses: list[tuple[str, int]], service: str, database: int
) -> None:
    pool = sentinel_pool(url)
    parts = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert [(found["host"], found["port"]) for found in parts] == addresses
    assert pool.service_name == service
    assert pool.connection_kwargs["db"] == database
    assert isinstance(pool, redis_connection.DroppableConnections)
    assert pool.max_connections == redis_connection.MAX_CONNECTIONS


@pytest.mark.parametrize(
    ("credentials", "user", "password"),
    [
        ("", None, None),
        ("me:p%40ss%2F@", "me", "p@ss/"),
        (":secret@", None, "secret"),
        ("me@", "me", None),
    ],
)
def test_the_credentials_of_a_sentinel_url_are_those_of_the_master(
    credentials: str, user: str | None, password: str | None
) -> None:
    pool = sentinel_pool(f"redis+sentinel://{credentials}one:1/queue")
    assert (pool.connection_kwargs.get("username"), pool.connection_kwargs.get("password")) == (user, password)
    (sentinel,) = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert not sentinel.get("username")
    assert not sentinel.get("password")


@pytest.mark.parametrize("url", ["redis://one:1/3", "redis+sentinel://one:1/queue/3"])
def test_every_connection_has_time_limits_and_no_retries(url: str) -> None:
    pool: Any = redis_connection.connect(url, 3, 2).connection_pool
    options = pool.connection_kwargs
    assert options["db"] == 3
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (3, 2)
    assert options["socket_keepalive"]
    assert options["retry"].get_retries() == 0
    assert pool.max_connections == redis_connection.MAX_CONNECTIONS
    if "sentinel" in url:
        (limits,) = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
        assert (limits["socket_timeout"], limits["socket_connect_timeout"]) == (redis_connection.CONNECT_SECONDS, 2)


def test_a_dropped_connection_is_replaced_before_its_next_use(redis_server: RedisServer) -> None:
    client = redis_connection.connect(redis_server.url)
    pool: Any = client.connection_pool
    first = client.client_id()
    assert (client.client_id(), pool.connects) == (first, 1)
    pool.drop()
    second = client.client_id()
    assert second != first
    assert (client.client_id(), pool.connects) == (second, 2)
    client.close()


def test_a_connection_that_is_dropped_while_it_is_made_is_replaced(redis_server: RedisServer) -> None:
    client = redis_connection.connect(redis_server.url)
    pool: Any = client.connection_pool
    made = pool.get_connection()
    pool.drop()
    pool.release(made)
    assert pool.connects == 1
    client.ping()
    assert pool.connects == 2
    client.close()


def pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.TimeoutError:
        return False


def test_failed_attempts_to_connect_again_use_up_no_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_connection, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(redis_connection, "CONNECT_SECONDS", 0.1)
    with RedisServer(tmp_path).running() as server:
        client: Any = redis_connection.connect(server.url.replace("/0", "/1"), 0.2, 0.2)  # connecting needs a reply
        client.ping()
        with server.frozen():  # the open connection seems to be usable
            for _ in range(3):
                client.connection_pool.drop()
                with pytest.raises(redis.TimeoutError):
                    client.ping()
        until(lambda: pings(client))
        client.close()


def test_text_of_other_programs_in_our_keys_is_no_failure(redis_server: RedisServer) -> None:
    client = redis_connection.connect(redis_server.url)
    client.set("key", b"\xff")
    assert client.get("key") == "\ufffd"
    client.close()


def test_a_redis_that_hangs_is_reported_before_a_client_gives_up() -> None:
    seconds = inspect.signature(Client).parameters["timeout"].default
    options: Any = redis_connection.connect("redis://one:1/0").connection_pool.connection_kwargs
    assert options["socket_connect_timeout"] + options["socket_timeout"] < seconds
