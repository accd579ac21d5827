"""The default of these tests: a Redis whose clock stands still. Only `advance` moves the clock of the queues."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from emulator.stores.interface import Store
from emulator.stores.opening import open_store
from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    folder = tmp_path_factory.mktemp("still")
    (folder / "clock").write_text("2030-01-01 00:00:00")
    with RedisServer(folder, clock=folder / "clock").running() as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


@pytest.fixture
def store(server: RedisServer, client: redis.Redis) -> Iterator[Store]:
    client.flushall()
    store = open_store(server.url)
    yield store
    store.close()
