"""Both stores keep one contract; what only one of them can show follows."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.store import NewTask, QueueKey, Store, StoreUnavailableError, open_store
from tests.contracts.store_contract import CONTRACT
from tests.redis_server import RedisServer, free_port


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'queue.sqlite3'}"
    else:
        url = request.getfixturevalue("redis_server").url
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def queue() -> QueueKey:
    return QueueKey("project", f"q-{uuid.uuid4().hex}")


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_the_store_keeps_the_contract(
    promise: Callable[[Store, QueueKey], None], store: Store, queue: QueueKey
) -> None:
    promise(store, queue)


def test_what_was_inserted_survives_a_kill(tmp_path: Path, queue: QueueKey) -> None:
    path = tmp_path / "queue.sqlite3"
    code = (
        "import os, signal; from emulator.store import *\n"
        f"store = open_store('sqlite:///{path}')\n"
        f"store.insert({queue!r}, NewTask('one', 'eA=='))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    store = open_store(f"sqlite:///{path}")
    assert store.get(queue, "one").payload == "eA=="
    store.close()


def test_two_processes_share_one_file(tmp_path: Path, queue: QueueKey) -> None:
    first = open_store(f"sqlite:///{tmp_path / 'q.sqlite3'}")
    second = open_store(f"sqlite:///{tmp_path / 'q.sqlite3'}")
    first.insert(queue, NewTask("one", "eA=="))
    assert second.get(queue, "one").id == "one"
    first.close()
    second.close()


def test_a_redis_that_is_not_there_is_unavailable(queue: QueueKey) -> None:
    store = open_store(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(StoreUnavailableError):
        store.insert(queue, NewTask("one", "eA=="))
    store.close()


def test_acknowledged_tasks_survive_a_killed_redis(tmp_path: Path, queue: QueueKey) -> None:
    server = RedisServer(tmp_path, durable=True)
    server.start()
    try:
        store = open_store(server.url)
        store.insert(queue, NewTask("one", "eA=="))
        server.stop(kill=True)
        with pytest.raises(StoreUnavailableError):
            store.insert(queue, NewTask("two", "eA=="))
        server.start()
        assert [task.id for task in store.peek(queue, 10)] == ["one"]
        store.close()
    finally:
        server.stop()


@pytest.mark.parametrize("url", ["", "mysql://x", "sqlite:///", "queue.sqlite3"])
def test_an_unknown_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="allowed: sqlite"):
        open_store(url)


def test_a_store_that_can_not_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreUnavailableError, match="can't be used"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'queue.sqlite3'}")
