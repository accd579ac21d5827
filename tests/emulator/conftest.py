"""Fixtures for the tests of the queue over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from emulator.stores.interface import Store
from emulator.stores.opening import open_store
from tests.emulator.server.running import emulator


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The URL of a new store."""
    return f"sqlite:///{tmp_path / 'queue.sqlite3'}"


@pytest.fixture
def opened(store: str) -> Iterator[Store]:
    """The store at that URL, opened for the test."""
    with closing(open_store(store)) as opened:
        yield opened


@pytest.fixture
async def client(store: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a new service without a queue file or token file."""
    async with emulator(store) as client:
        yield client
