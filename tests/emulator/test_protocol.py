"""PROTOCOL.md is the specification: its examples are executed, and its tables are compared with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import httpx

from emulator import discovery
from emulator.admission import body_room
from emulator.command import main
from emulator.pages.operations import GAUGES, UNLISTED, UNLISTED_TEXT
from emulator.permissions.access import Access
from emulator.permissions.queue_file import read_queue_file
from emulator.permissions.tokens import read_token_file
from emulator.queues import long_poll, queue_service
from emulator.queues.queue_service import QueueService
from emulator.server import connections
from emulator.stores.interface import Store
from emulator.wire import asgi, batches, bodies, errors, parameters, partial_response
from tests.conftest import ROOT
from tests.emulator.server.running import CLOUD, emulator, insert

TEXT = (ROOT / "emulator" / "PROTOCOL.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```http\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
FILES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """Return the text under a heading."""
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables in a section, without the header rows."""
    found: list[list[str]] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|--"):
            found.pop()  # the row above the delimiter row is the header
        elif line.startswith("|"):
            found.append(cells)
    return found


def compare(expected: Any, found: Any, kept: dict[str, str], place: str) -> None:
    """Compare a reply with the expected one; a name in braces stands for the same text everywhere."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), place
        assert expected.keys() == found.keys(), place
        for name, value in expected.items():
            compare(value, found[name], kept, f"{place}.{name}")
    elif isinstance(expected, list):
        assert len(expected) == len(found), place
        for number, value in enumerate(expected):
            compare(value, found[number], kept, f"{place}[{number}]")
    elif isinstance(expected, str) and re.fullmatch(r"\{\w+\}", expected):
        assert kept.setdefault(expected, found) == found, place
    elif expected == "…":
        assert isinstance(found, str), place
        assert found, place
    else:
        assert expected == found, place


async def replay(client: httpx.AsyncClient, example: str, kept: dict[str, str]) -> None:
    """Send the request of an example and compare the reply."""
    request, status, reply = re.fullmatch(r"(.*)\n\n(\d{3})\n(.*)", example, re.DOTALL).groups()  # type: ignore[union-attr]
    for name, value in kept.items():
        request = request.replace(name, value)
    head, _, body = request.partition("\n\n")
    (method, path), *lines = [head.splitlines()[0].split(" "), *head.splitlines()[1:]]
    headers = dict(line.split(": ", 1) for line in lines)
    response = await client.request(method, path, content=body.encode() or None, headers=headers)
    assert response.status_code == int(status), (example, response.text)
    if reply.strip():
        compare(json.loads(reply), response.json(), kept, f"{method} {path}")
    else:
        assert response.content == b""
    assert ("Preference-Applied" in response.headers) == ("Prefer" in headers and "wait=0" not in headers["Prefer"])


async def test_the_examples_are_correct(store: str, tmp_path: Path) -> None:
    (tmp_path / "queue.yaml").write_text(FILES[0])
    kept: dict[str, str] = {}
    async with emulator(store, queue_file=str(tmp_path / "queue.yaml"), test_verbs=True) as client:
        for example in EXAMPLES:
            await replay(client, example, kept)
    assert len(EXAMPLES) >= 20
    assert kept["{lease}"] != kept["{renewed}"]


async def test_what_clients_may_not_do_is_refused(store: str, tmp_path: Path) -> None:
    (tmp_path / "queue.yaml").write_text(FILES[0])
    tasks, cloud = "/taskqueue/v1beta2/projects/shop/taskqueues/print/tasks", CLOUD
    refusals = rows(section("What clients may not do"))
    async with emulator(store, queue_file=str(tmp_path / "queue.yaml")) as client:
        # The ID "one" is reserved, as it is after the other examples.
        await insert(client, tasks, id="one")
        await client.delete(f"{tasks}/one")
        for what, example, status, reason in refusals:
            request, *rest = re.findall(r"`([^`]+)`", example)
            method, path = request.replace("TASKS", tasks).replace("CLOUD", cloud).split(" ", 1)
            headers = dict(text.split(": ", 1) for text in rest if not text.startswith("{"))
            body = next((text for text in rest if text.startswith("{")), None)
            response = await client.request(method, path, content=body, headers=headers)
            assert response.status_code == int(status), (what, response.text)
            assert response.json()["error"]["message"], what
            assert not any(name.startswith("access-control") for name in response.headers), what
            assert reason.endswith("."), what
        assert (await client.get(tasks)).json() == {"kind": "taskqueues#tasks"}  # nothing was changed
    assert len(refusals) >= 20


def test_the_example_files_are_valid(tmp_path: Path) -> None:
    queues, tokens = FILES
    (tmp_path / "queue.yaml").write_text(queues)
    (tmp_path / "tokens.yaml").write_text(tokens)
    assert read_queue_file(tmp_path / "queue.yaml").rules["print"].retry_limit == 2
    assert read_token_file(tmp_path / "tokens.yaml").holder("0123456789abcdef") == "render@example.org"


def test_every_method_is_documented_with_its_path(opened: Store) -> None:
    described = {}
    for title, prefix in (
        ("Task Queue v1beta2", "/taskqueue/v1beta2/projects/"),
        ("Cloud Tasks v2beta2", "/v2beta2/"),
    ):
        for name, request, _ in rows(section(title)):
            method, path = re.match(r"(\w+) `([^`]+)`", request).groups()  # type: ignore[union-attr]
            described[name.strip("`")] = (method, prefix + path)
    loaded = discovery.load(QueueService(opened, Access()))
    assert described == {route.id: (route.method, route.path) for api in loaded for route in api.routes}


def test_the_documented_limits_are_those_of_the_code() -> None:
    limits = dict(rows(section("Limits")))
    assert limits == {
        "payload, decoded": f"{parameters.PAYLOAD_BYTES} bytes",
        "lease": f"0 to {parameters.MAX_LEASE_SECONDS} seconds",
        "tasks per lease": f"1 to {parameters.MAX_TASKS}",
        "reply to a lease": f"{parameters.LEASE_REPLY_BYTES} bytes",
        "tasks per list": "100; per page of Cloud Tasks 1000",
        "tag": f"{parameters.TAG_CHARACTERS} characters, printable",
        "task ID": f"`{parameters.TASK_NAME.pattern}`",
        "queue ID": f"`{parameters.QUEUE_NAME.pattern}`",
        "project ID": f"`{parameters.PROJECT_NAME.pattern}`, without its prefix",
        "ETA of a new task": f"{parameters.ETA_AHEAD_DAYS} days in the future",
        "waiting lease": f"{long_poll.MAX_WAIT} seconds; {queue_service.MAX_CLIENT_WAITS} of one client",
        "connections": "of one client a quarter of those of the process, but at least "
        f"{connections.MIN_CLIENT_CONNECTIONS}; a trusted proxy is not limited",
        "head of a request": f"{connections.HEAD_SECONDS} seconds from its first byte",
        "queues without a queue file": f"{queue_service.MAX_QUEUES}, see `--max-queues`",
        "body": f"{parameters.BODY_BYTES} bytes; of a batch {batches.BATCH_BYTES} bytes "
        f"and {batches.MAX_CALLS} calls; of a form or a lease {asgi.FORM_BYTES} bytes; "
        f"{bodies.BODY_SECONDS} seconds to send it",
        "bodies in memory": f"{body_room.LARGE_BYTES} bytes, of one client half of it; of bodies up to "
        f"{body_room.SMALL_BODY} bytes {body_room.SMALL_BYTES} more; a body waits for room for up to "
        f"{body_room.WAIT_SECONDS} seconds",
        "URL": f"{asgi.TARGET_CHARACTERS} characters, 100 parameters; headers {asgi.HEAD_BYTES} bytes",
        "`fields`": f"{partial_response.SELECTION_CHARACTERS} characters, {partial_response.MAX_NESTING} levels",
    }


def test_every_error_is_documented() -> None:
    listed = {int(code): (reasons, status) for code, reasons, status, _ in rows(section("Errors"))}
    assert listed.keys() | {429} == errors.REASONS.keys() | errors.STATUSES.keys() | {500}
    for code, (reasons, status) in listed.items():
        assert f"`{errors.REASONS.get(code, errors.OTHER_REASON)}`" in reasons
        assert f"`{errors.STATUSES.get(code, errors.OTHER_STATUS)}`" in status


def test_every_metric_and_option_is_documented() -> None:
    metrics = {name: text for name, text in rows(section("Other endpoints")) if name.startswith("`emulator_")}
    assert metrics == {f"`{name}`": text for name, text in (GAUGES | {UNLISTED: UNLISTED_TEXT}).items()}
    options = {}
    for option in main.params:
        assert isinstance(option, click.Option)
        default = f"`{option.default}`" if option.show_default else "–"
        options[f"`{option.opts[0]}`"] = [default, option.help]
    assert {name: rest for name, *rest in rows(section("Settings"))} == options
