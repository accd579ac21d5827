"""The queue file and the token file are read again when they change, without dropping a request."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import trio

from emulator.permissions import rereading
from tests.emulator.server.running import PROJECT, TASKS, emulator, insert
from tests.processes import queue

OLD, NEW = "old-token-0123456789", "new-token-0123456789"
PATIENCE = 30.0


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    write_tokens(tmp_path, OLD)
    (tmp_path / "queue.yaml").write_text(queues("print"))
    return {"token_file": str(tmp_path / "tokens.yaml"), "queue_file": str(tmp_path / "queue.yaml")}


def write_tokens(folder: Path, token: str) -> None:
    """Replace the token file, as editors do."""
    (folder / "new").write_text(f"render@example.org: {token}\n")
    (folder / "new").rename(folder / "tokens.yaml")


def queues(*names: str) -> str:
    acl = "acl: [{user_email: render@example.org}]"
    return "queue:\n" + "".join(f"- {{name: {name}, mode: pull, {acl}}}\n" for name in names)


async def status(client: httpx.AsyncClient, token: str, path: str = TASKS) -> int:
    return (await client.get(path, headers={"Authorization": f"Bearer {token}"})).status_code


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with trio.fail_after(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - the state is that of a server
            await trio.sleep(0.05)


async def test_a_new_token_replaces_the_old_one_while_a_lease_waits(
    store: str, tmp_path: Path, files: dict[str, str]
) -> None:
    async with emulator(store, **files) as client, trio.open_nursery() as nursery:
        found: list[str] = []

        async def wait() -> None:
            headers = {"Authorization": f"Bearer {OLD}", "Prefer": "wait=60"}
            reply = await client.post(
                f"{TASKS}/lease", params={"numTasks": 1, "leaseSecs": 60}, headers=headers, timeout=PATIENCE
            )
            found.extend(item["id"] for item in reply.json()["items"])

        nursery.start_soon(wait)
        await until(lambda: is_status(client, OLD, 200))
        write_tokens(tmp_path, NEW)
        await until(lambda: is_status(client, NEW, 200))
        assert await status(client, OLD) == 401
        headers = {"Authorization": f"Bearer {NEW}"}
        task = {"id": "one", "payloadBase64": "eA=="}
        assert (await client.post(TASKS, json=task, headers=headers)).status_code == 200
        await until(lambda: is_equal(found, ["one"]))


async def is_status(client: httpx.AsyncClient, token: str, expected: int, path: str = TASKS) -> bool:
    return await status(client, token, path) == expected


async def is_equal(found: object, expected: object) -> bool:
    return found == expected


async def test_a_new_queue_appears(store: str, tmp_path: Path, files: dict[str, str]) -> None:
    async with emulator(store, **files) as client:
        other = f"{PROJECT}/other/tasks"
        assert await status(client, OLD, other) == 404
        (tmp_path / "queue.yaml").write_text(queues("print", "other"))
        await until(lambda: is_status(client, OLD, 200, other))


async def test_links_of_kubernetes_are_followed(store: str, tmp_path: Path) -> None:
    for name, token in (("first", OLD), ("second", NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokens.yaml").write_text(f"render@example.org: {token}\n")
    (tmp_path / "data").symlink_to("first")
    (tmp_path / "tokens.yaml").symlink_to("data/tokens.yaml")
    async with emulator(store, token_file=str(tmp_path / "tokens.yaml")) as client:
        assert await status(client, OLD) == 200
        (tmp_path / "link").symlink_to("second")
        (tmp_path / "link").rename(tmp_path / "data")
        await until(lambda: is_status(client, NEW, 200))
        assert await status(client, OLD) == 401


@pytest.mark.parametrize("content", ["render@example.org: [", "", None])
async def test_an_invalid_file_leaves_the_old_rules_in_force(
    store: str, tmp_path: Path, files: dict[str, str], caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    async with emulator(store, **files) as client:
        if content is None:
            (tmp_path / "tokens.yaml").unlink()
        else:
            (tmp_path / "tokens.yaml").write_text(content)
        with caplog.at_level(logging.WARNING, rereading.__name__):
            await until(lambda: has_warnings(client))
        assert await status(client, OLD) == 200
        health = await client.get("/health")
        assert health.status_code == 200
        (warning,) = health.json()["warnings"]
        assert warning.startswith("the file of --token-file has changed, but can't be used")
        await trio.sleep(3 * rereading.POLL_SECONDS)
        assert len(caplog.records) == 1
        write_tokens(tmp_path, NEW)
        await until(lambda: is_status(client, NEW, 200))
        assert "warnings" not in (await client.get("/health")).json()


async def has_warnings(client: httpx.AsyncClient) -> bool:
    return "warnings" in (await client.get("/health")).json()


async def test_nothing_is_read_without_files(store: str) -> None:
    async with emulator(store) as client:
        assert (await insert(client)).status_code == 200


def test_every_process_reads_the_files_again(tmp_path: Path, files: dict[str, str]) -> None:
    options = ("--token-file", files["token_file"])
    with queue(f"sqlite:///{tmp_path / 'q.sqlite3'}", 2, *options) as running:
        write_tokens(tmp_path, NEW)
        deadline, successes = time.monotonic() + PATIENCE, 0
        while successes < 20:  # each on a connection of its own, so that both processes answer some
            assert time.monotonic() < deadline
            reply = httpx.get(f"{running.address}{TASKS}", headers={"Authorization": f"Bearer {NEW}"}, trust_env=False)
            successes = successes + 1 if reply.status_code == 200 else 0
