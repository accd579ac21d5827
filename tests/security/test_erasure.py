"""What docs/reference/privacy.md states about erasure: afterwards, no name is in the bytes of a file or a cache."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, Store
from emulator.stores.redis.store import RedisStore
from emulator.stores.sqlite import housekeeping
from emulator.stores.sqlite.store import SqliteStore
from render_trio.delivery.directory import DirectoryStore
from tests.processes import start_service
from tests.redis_server import RedisServer, free_port

KEY = QueueKey("p", "q")
NAME = "Ada Lovelace of Room Four"
PATIENCE = 30.0  # s


def payload(size: int) -> str:
    """Return the payload of a task, in Base64, with the name at its beginning, in the middle and at its end."""
    filling = "x" * (size // 2)
    return base64.b64encode(json.dumps([NAME, filling, NAME, filling, NAME]).encode()).decode()


def names_in(folder: Path) -> list[str]:
    """Return the files below the folder that contain the name, plain or as a part of a payload."""
    forms = [NAME.encode(), *(base64.b64encode(b"\0" * shift + NAME.encode())[4:-4] for shift in range(3))]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(form in path.read_bytes() for form in forms)]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(params=[100, 3_000, 300_000])
def size(request: pytest.FixtureRequest) -> int:
    """Bytes of a payload: within a page of SQLite, over several, and as large as a result."""
    return int(request.param)


def insert(store: Store, size: int) -> None:
    for number in range(5):
        store.insert(KEY, NewTask(f"task-{number}", payload(size), tag="task"))
        store.insert(KEY, NewTask(f"other-{number}", base64.b64encode(b"another one").decode(), tag="task"))


def delete(store: Store) -> None:
    store.lease(KEY, LeaseOrder(count=5, seconds=60))
    for number in range(5):
        store.delete(KEY, f"task-{number}")


@pytest.mark.parametrize("erase", [delete, lambda store: store.purge(KEY)], ids=["delete", "purge"])
def test_sqlite_overwrites_deleted_payloads_in_the_file_and_empties_the_journal(
    tmp_path: Path, size: int, erase: Callable[[Store], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "IDLE_SECONDS", 0.2)
    store = SqliteStore(tmp_path / "queue.sqlite3")
    insert(store, size)
    assert names_in(tmp_path) != []
    erase(store)
    wait_until(lambda: names_in(tmp_path) == [])
    store.close()
    assert names_in(tmp_path) == []


def test_redis_has_no_deleted_payload_after_it_has_rewritten_its_files(tmp_path: Path, size: int) -> None:
    server = RedisServer(tmp_path, durable=True)
    with server.running(), server.client() as client:
        store = RedisStore(server.url)
        insert(store, size)
        client.save()
        assert names_in(tmp_path) != []
        delete(store)
        client.save()
        client.bgrewriteaof()
        wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
        wait_until(lambda: names_in(tmp_path) == [])
        store.close()


def test_a_document_is_deleted_once_it_is_older_than_document_keep(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "")
    digest = "a" * 64
    store.put(NAME.encode(), digest)
    assert names_in(tmp_path) == [f"{digest}.pdf"]
    old = time.time() - 3601
    os.utime(tmp_path / f"{digest}.pdf", (old, old))
    store.sweep(3600)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("key", ["header_text", "url", "resource_name", "filename"])
def test_nothing_that_shows_a_name_is_stored_by_browsers_or_proxies(service: str, key: str) -> None:
    options: dict[str, Any] = {"params": {key: "https://example.org/ada" if key == "url" else "Ada"}}
    with httpx.Client(base_url=service, trust_env=False, timeout=60) as client:
        preview = client.get("/resources/grid/preview", **options)
        images = [f"/resources/grid/pages/1.png?{key}={options['params'][key]}"]
        images += [str(page["url"]) for page in preview.json().get("sheets", []) if "url" in page]
        replies = [preview, *(client.get(image) for image in images)]
        replies += [client.get("/resources/grid.pdf", **options)]
        replies += [client.get("/resources/grid", headers={"Accept": "text/html"}, follow_redirects=True, **options)]
        replies += [client.post("/render", json={"resource_view": "grid"} | options["params"])]
        assert {reply.status_code for reply in replies} <= {200, 400}
        # The address of the form has no file name, because the form has no field for it.
        showing = [reply for reply in replies if key in str(reply.url) or reply.request.method == "POST"]
        assert len(showing) >= 4
        assert {reply.headers["Cache-Control"] for reply in showing} == {"no-store"}
        unnamed = client.get("/resources/grid.pdf")
        assert unnamed.headers["Cache-Control"] == "no-cache"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    log = tmp_path_factory.mktemp("service") / "log"
    running = start_service(f"http://127.0.0.1:{free_port()}", log, RENDER_WORKERS=1)
    yield running.address
    running.end()
