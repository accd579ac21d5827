"""Fixtures for all tests: a shared Redis server. Also the durations of the suites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from emulator.stores import redaction
from tests.durations import pytest_runtest_logreport, pytest_terminal_summary
from tests.redis_server import RedisServer

__all__ = ["pytest_runtest_logreport", "pytest_terminal_summary"]

ROOT = Path(__file__).parent.parent
collect_ignore = ["plugin"]  # a package of its own, whose tests need it installed: tests/acceptance/test_plugin.py


@pytest.fixture(autouse=True)
def forgotten_secrets() -> Iterator[None]:
    """Forget the secrets of a test's store: they would be masked in the messages that later tests expect."""
    yield
    redaction._known.clear()


@pytest.fixture(scope="session")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server shared by the tests that don't restart it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(running_redis: RedisServer) -> RedisServer:
    """The shared server, emptied: this also resets the clock of the queues, which a test may have advanced."""
    with redis.Redis(port=running_redis.port) as client:
        client.flushall()
    return running_redis
