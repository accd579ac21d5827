"""Clients of a queue that requires tokens: where the token comes from, and how it is rotated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from render_trio import Client, QueueError
from tests.processes import Running, start_queue
from tests.render_trio.cli.producing.running import invoke
from tests.render_trio.queue.producing import Inbox

TOKEN, NEXT = "site-token-0123456789", "next-token-9876543210"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("queue")
    (folder / "tokens.yaml").write_text(f'site@example.org: ["{TOKEN}", "{NEXT}"]\n')
    running = start_queue(f"sqlite:///{folder / 'queue.sqlite3'}", "--token-file", str(folder / "tokens.yaml"))
    yield running
    running.end()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


def test_a_client_sends_its_token(guarded: Running) -> None:
    with Client(guarded.address, token=TOKEN) as client:
        assert client.submit("grid")


def test_a_client_sends_the_token_in_its_file_and_the_next_one_after_a_rotation(
    guarded: Running, token_file: Path
) -> None:
    with Client(guarded.address, token_file=token_file) as client:
        client.submit("grid")
        token_file.write_text(NEXT)
        client.submit("grid")


@pytest.mark.parametrize("user_info", [f"any:{TOKEN}", f"any%40one:{TOKEN}", f":{TOKEN}"])
def test_a_token_in_the_address_still_works_and_is_not_shown(guarded: Running, user_info: str) -> None:
    with Client(guarded.address.replace("://", f"://{user_info}@")) as client:
        assert client.submit("grid")
        with pytest.raises(QueueError) as caught:
            client.submit_values({"kind": "task#render"}, task_id="not allowed")
    assert TOKEN not in str(caught.value)


def test_the_token_of_its_own_wins_over_that_in_the_address(guarded: Running) -> None:
    with Client(guarded.address.replace("://", "://any:wrong-token-0000000@"), token=TOKEN) as client:
        assert client.submit("grid")


def test_a_refused_token_is_reported_with_the_settings_that_help_and_without_the_token(guarded: Running) -> None:
    with Client(guarded.address, token="wrong-token-0000000") as client, pytest.raises(QueueError) as caught:
        client.submit("grid")
    assert "QUEUE_TOKEN or QUEUE_TOKEN_FILE" in str(caught.value)
    assert "wrong-token" not in str(caught.value)


def test_after_a_refusal_the_file_is_read_again_at_once_and_the_request_repeated(
    guarded: Running, token_file: Path
) -> None:
    """The new file has the size, the time and the inode of the old one: nothing but the refusal shows the change."""
    token_file.write_text(f"{'x' * len(TOKEN)}\n")
    with Client(guarded.address, token_file=token_file) as client:
        with pytest.raises(QueueError, match="401"):
            client.submit("grid")
        before = token_file.stat()
        token_file.write_text(f"{TOKEN}\n")
        os.utime(token_file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert client.submit("grid")


@pytest.mark.parametrize("name", ["QUEUE_TOKEN", "QUEUE_TOKEN_FILE"])
def test_the_commands_of_producers_take_the_token_from_the_environment(
    guarded: Running, token_file: Path, name: str, tmp_path: Path
) -> None:
    given = {name: TOKEN if name == "QUEUE_TOKEN" else str(token_file)}
    inbox = Inbox(guarded.address, "render")
    assert invoke(inbox, "submit", "grid", **given).exit_code == 0
    assert invoke(inbox, "results", "--wait", "0", "--out", str(tmp_path / "out"), **given).exit_code == 0
    refused = invoke(inbox, "submit", "grid")
    assert refused.exit_code == 1
    assert "QUEUE_TOKEN_FILE" in refused.stderr


def test_a_token_and_a_token_file_exclude_each_other(guarded: Running, token_file: Path) -> None:
    done = invoke(
        Inbox(guarded.address, "render"), "submit", "grid", QUEUE_TOKEN=TOKEN, QUEUE_TOKEN_FILE=str(token_file)
    )
    assert done.exit_code == 1
    assert "QUEUE_TOKEN is set too" in done.stderr
    assert TOKEN not in done.output


def test_a_missing_token_file_is_reported_before_anything_is_sent(guarded: Running, tmp_path: Path) -> None:
    done = invoke(Inbox(guarded.address, "render"), "submit", "grid", QUEUE_TOKEN_FILE=str(tmp_path / "missing"))
    assert done.exit_code == 1
    assert "QUEUE_TOKEN_FILE is" in done.stderr
    assert "No such file" in done.stderr
