"""Fixtures for producers: a queue service, and a queue in it for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.processes import Running, queue
from tests.render_trio.queue.producing import Inbox, Web, web_server


@pytest.fixture(scope="package")
def queue_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with queue(f"sqlite:///{tmp_path_factory.mktemp('queue') / 'queue.sqlite3'}") as running:
        yield running


@pytest.fixture
def inbox(queue_service: Running) -> Inbox:
    return Inbox(queue_service.address, f"q{uuid.uuid4().hex}")


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as running:
        yield running
