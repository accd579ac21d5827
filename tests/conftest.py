"""Fixtures for all tests, and the durations of the suites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.durations import pytest_runtest_logreport, pytest_terminal_summary
from tests.redis_server import RedisServer

__all__ = ["pytest_runtest_logreport", "pytest_terminal_summary"]

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server shared by the tests that only need some Redis."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(running_redis: RedisServer) -> RedisServer:
    """The shared server, empty: the clock of its queues, too, is where an earlier test may have moved it."""
    with redis.Redis(port=running_redis.port) as client:
        client.flushall()
    return running_redis
