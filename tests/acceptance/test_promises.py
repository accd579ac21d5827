"""The guarantees, tested with real processes: no task is lost and none has two results, whichever process is killed."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pikepdf
import pytest

from render_trio.queue.messages import decode_result, encode_task
from render_trio.queue.producer import task_values
from tests.processes import SERVICE, Running, environment, queue, render_trio, start_service
from tests.redis_server import RedisServer

TASKS = "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"
PATIENCE = 90.0  # s


class Client:
    """A producer."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def insert(self, task_id: str, payload: str) -> None:
        body = {"id": task_id, "queueName": "render", "payloadBase64": payload, "tag": "task"}
        self._http.post(TASKS, json=body).raise_for_status()

    def left(self) -> list[dict[str, Any]]:
        return list(self._http.get(TASKS).json().get("items", []))

    def lease_all(self) -> list[str]:
        """Lease all tasks that are free, and return their IDs."""
        query = {"numTasks": "1000", "leaseSecs": "600", "groupByTag": "true", "tag": "task"}
        return [item["id"] for item in self._http.post(f"{TASKS}/lease", params=query).json().get("items", [])]

    def wait_until_leased(self, task_id: str) -> None:
        """Return when the task has been leased."""
        deadline = time.monotonic() + PATIENCE
        while self._http.get(f"{TASKS}/{task_id}").json()["retry_count"] == 0:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def take(self, count: int) -> list[tuple[str, Any]]:
        """Return (entry's ID, result) for `count` results, or for those that arrived within PATIENCE."""
        results: list[tuple[str, Any]] = []
        deadline = time.monotonic() + PATIENCE
        query = {"numTasks": "100", "leaseSecs": "60", "groupByTag": "true", "tag": "result"}
        while len(results) < count and time.monotonic() < deadline:
            items = (
                self._http.post(f"{TASKS}/lease", params=query, headers={"Prefer": "wait=5"}).json().get("items", [])
            )
            for item in items:
                results.append((item["id"], decode_result(item["payloadBase64"])))
                self._http.delete(f"{TASKS}/{item['id']}").raise_for_status()
        return results


class Stage:
    """Starts the processes that a test needs, and kills those that still run afterwards."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder

    def client(self, queue: Running) -> Client:
        return Client(self._stack.enter_context(httpx.Client(base_url=queue.address, trust_env=False, timeout=70)))

    def service(self, queue: Running, program: tuple[str, ...] = SERVICE, **settings: str | int) -> Running:
        running = start_service(queue.address, self._folder / "log", program=program, **settings)
        self._stack.callback(lambda: running.end(signal.SIGKILL))
        return running


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack, tmp_path)


@pytest.fixture(params=["sqlite", "redis"])
def running_queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    if request.param == "sqlite":
        with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
            yield running
    else:
        server = RedisServer(tmp_path)
        server.start()
        with queue(server.url) as running:
            yield running
        server.stop()


def payload(view: str, **options: Any) -> str:
    return encode_task(task_values(view, options)[1])


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_killed_service_loses_no_task(stage: Stage, running_queue: Running, tmp_path: Path, isolation: str) -> None:
    client = stage.client(running_queue)
    ids = [f"task-{number:03}" for number in range(200)]
    for number, task_id in enumerate(ids):
        view = ("binary_cards", "parity_cards", "sorting_network", "searching_cards")[number % 4]
        client.insert(task_id, payload(view))
    # Short leases, so that the tasks of the killed service are free again soon.
    settings = {"RENDER_WORKERS": 4, "TASK_SECONDS": 2, "RENDER_ISOLATION": isolation}
    first = stage.service(running_queue, **settings)
    early = client.take(40)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = stage.service(running_queue, **settings)
    results = early + client.take(200 - len(early))
    assert second.end() == 0, (tmp_path / "log").read_text()
    assert Counter(result.task_id for _, result in results) == Counter(ids)
    assert all(result.success for _, result in results)
    assert client.left() == []


def test_invalid_tasks_get_failure_results_and_the_service_continues(stage: Stage, tmp_path: Path) -> None:
    good = {"kind": "task#render", **task_values("parity_cards", {})[1]}

    def raw(value: object) -> str:
        return base64.b64encode(value if isinstance(value, bytes) else msgspec.json.encode(value)).decode()

    # A task of the queue holds at most 1 MiB, so the largest payload here is close to that.
    bad = {
        "not_json": raw(b"{not json"),
        "not_an_object": raw([1, 2]),
        "unknown_kind": raw(good | {"kind": "task#wash"}),
        "unknown_resource": raw(good | {"resource_view": "laundry"}),
        "missing_option": raw({name: value for name, value in good.items() if name != "back_colour"}),
        "invalid_option": raw(good | {"back_colour": "mauve"}),
        "too_large": raw(good | {"header_text": "x" * 1_000_000}),
        "invalid_option-none": raw(good | {"copies": 0}),
        "invalid_option-many": raw(good | {"copies": 51}),
        "invalid_option-language": raw(good | {"language": "../../etc"}),
    }
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        service = stage.service(running)
        client = stage.client(running)
        for name, content in bad.items():
            client.insert(name, content)
        client.insert("good", raw(good))
        results = {result.task_id: result for _, result in client.take(len(bad) + 1)}
        assert results.pop("good").success
        assert {name: result.error.code for name, result in results.items()} == {
            name: name.partition("-")[0] for name in bad
        }
        assert all(result.error.message and result.filename is None for result in results.values())
        assert client.left() == []
        assert httpx.get(f"{service.address}/health", trust_env=False).json()["status"] == "ok"
        assert service.end() == 0


def test_a_large_document_is_delivered_as_a_link(stage: Stage, tmp_path: Path) -> None:
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        service = stage.service(
            running,
            MAX_QUEUE_TASK_SIZE="8 KiB",
            DOCUMENT_STORE=str(tmp_path / "documents"),
            DOCUMENT_URL_PREFIX="https://files.example.org",
        )
        client = stage.client(running)
        client.insert("one", payload("binary_cards"))
        ((_, result),) = client.take(1)
        assert result.kind == "result#link"
        assert result.url == f"https://files.example.org/{result.sha256}.pdf"
        with pikepdf.open(tmp_path / "documents" / f"{result.sha256}.pdf") as pdf:
            assert len(pdf.pages) == result.pages == 8
        assert service.end() == 0


def test_the_demo_draws_every_resource(tmp_path: Path) -> None:
    from resources.registry import CATALOGUE

    ended = render_trio("demo", "--out", str(tmp_path / "out"), "--json")
    assert ended.returncode == 0, ended.stderr
    rows = json.loads(ended.stdout)
    assert [row["resource"] for row in rows] == sorted(CATALOGUE)
    for row in rows:
        with pikepdf.open(row["path"]) as pdf:
            assert len(pdf.pages) == row["pages"]


def test_the_demo_can_keep_its_service_running(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "render_trio", "demo", "--stay", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process.stdout:
        found = next(filter(None, (re.search(r"service: (http://\S+)", line) for line in process.stdout)))
        try:
            assert "Treasure Island" in httpx.get(f"{found[1]}/", trust_env=False).text
        finally:
            code = Running(process, "").end(signal.SIGINT)
    assert code == 0


def test_submit_and_results_act_as_a_producer(stage: Stage, tmp_path: Path) -> None:
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        service = stage.service(running)
        options = ("-o", "display_numbers=yes", "-o", "black_back=no", "--count", "3", "--json")
        submitted = render_trio("submit", "binary_cards", *options, QUEUE_URL=running.address)
        ids = json.loads(submitted.stdout)["ids"]
        rows: list[Any] = []
        while len(rows) < 3:
            ended = render_trio("results", "--out", str(tmp_path), "--json", QUEUE_URL=running.address)
            assert ended.returncode == 0, ended.stderr
            rows += [json.loads(line) for line in ended.stdout.splitlines()]
        assert sorted(row["task_id"] for row in rows) == sorted(ids)
        assert all(Path(row["path"]).parent == tmp_path for row in rows)
        assert service.end() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("submit", "laundry"), "Error: resource_view is 'laundry'; allowed: "),
        (("render", "binary_cards", "-o", "copies=51", "--out", "x.pdf"), "Error: copies is '51'; allowed: "),
        (("render", "binary_cards", "-o", "copies", "--out", "x.pdf"), "'copies' is not KEY=VALUE"),
        (("emulator", "--store", "mysql://x"), "Error: store is 'mysql://x'; allowed: sqlite:///FILE"),
        (("resources", "laundry"), "Error: resource_view is 'laundry'"),
    ],
)
def test_a_user_s_mistake_is_reported_as_one_line(arguments: tuple[str, ...], message: str) -> None:
    ended = render_trio(*arguments)
    assert ended.returncode != 0
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_render_draws_one_document_without_a_queue(tmp_path: Path) -> None:
    out = tmp_path / "a" / "x.pdf"
    ended = render_trio("render", "sorting-network", "-o", "prefilled_values=hard", "--out", str(out))
    assert ended.returncode == 0, ended.stderr
    with pikepdf.open(out) as pdf:
        assert len(pdf.pages) == 1


def test_resources_are_listed_with_their_options() -> None:
    (only,) = json.loads(render_trio("resources", "binary-cards", "--json").stdout)
    assert only["view"] == "binary_cards"
    assert [option["name"] for option in only["options"]][:2] == ["display_numbers", "black_back"]
    assert "Binary Cards" in render_trio("resources").stdout
