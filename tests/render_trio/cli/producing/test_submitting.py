"""`submit` prints each ID as soon as the queue has accepted the task, and is complete when it is interrupted."""

from __future__ import annotations

import json
import signal

import httpx
import pytest

from render_trio.errors import QueueUnavailableError
from render_trio.queue.task_queue.client import TaskQueue
from tests.render_trio.cli.producing.running import invoke, start
from tests.render_trio.queue.producing import Inbox


def test_the_ids_are_those_in_the_queue(inbox: Inbox) -> None:
    result = invoke(inbox, "submit", "grid", "--count", "3")
    assert result.exit_code == 0
    assert sorted(result.stdout.split()) == inbox.ids()


def test_json_is_one_object(inbox: Inbox) -> None:
    result = invoke(inbox, "submit", "grid", "--count", "3", "--json")
    assert sorted(json.loads(result.stdout)["ids"]) == inbox.ids()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("json_output", [False, True])
def test_an_interrupted_command_has_printed_what_was_accepted(
    inbox: Inbox, number: signal.Signals, json_output: bool
) -> None:
    process = start(inbox, "submit", "grid", "--count", "100000", *(["--json"] if json_output else []))
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(20)]
    process.send_signal(number)
    assert process.stderr is not None
    text = "".join(first) + process.stdout.read()
    errors = process.stderr.read()
    process.communicate(timeout=30)
    ids = [word.strip('",') for line in text.splitlines() if (word := line.strip()) not in ('{"ids": [', "]}")]
    accepted = all_ids(inbox)
    if number == signal.SIGKILL:
        # A kill can fall between the queue's response and the output, of one task.
        assert len(accepted) - len(ids) in (0, 1)
        assert set(ids) <= accepted
        return
    assert set(ids) == accepted
    assert process.returncode == 1
    assert f"interrupted: {len(ids)} of 100000 tasks were submitted" in errors
    if json_output:
        assert set(json.loads(text)["ids"]) == accepted


def all_ids(inbox: Inbox) -> set[str]:
    """Return the IDs of the tasks, each leased once: a list has at most 100."""
    query = {"numTasks": 1000, "leaseSecs": 60}
    found = httpx.post(f"{inbox.tasks}/lease", params=query, trust_env=False, timeout=30).raise_for_status().json()
    return {item["id"] for item in found.get("items", [])}


@pytest.mark.parametrize("json_output", [False, True])
def test_a_queue_that_fails_midway_leaves_complete_output(
    inbox: Inbox, json_output: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = TaskQueue.submit
    attempts = []

    async def fail(self: TaskQueue, task_id: str, *arguments: str, generated: bool) -> None:
        attempts.append(task_id)
        if len(attempts) > 2:
            raise QueueUnavailableError("down")
        await submit(self, task_id, *arguments, generated=generated)

    monkeypatch.setattr(TaskQueue, "submit", fail)
    result = invoke(inbox, "submit", "grid", "--count", "5", *(["--json"] if json_output else []))
    assert result.exit_code == 1
    assert "Error: down" in result.stderr
    ids = json.loads(result.stdout)["ids"] if json_output else result.stdout.split()
    assert sorted(ids) == inbox.ids()


@pytest.mark.parametrize(
    "arguments", [(), ("grid", "--stale", "."), ("--stale", ".", "--count", "2"), ("--stale", ".", "-o", "copies=2")]
)
def test_wrong_usage_has_exit_code_2(inbox: Inbox, arguments: tuple[str, ...]) -> None:
    assert invoke(inbox, "submit", *arguments).exit_code == 2
