"""No secret and no name of a pupil is in any output, whatever fails: each input of real processes has a canary.

The results of tasks may quote their values: only their producer gets them. A response may quote what the same client
sent, but no token, cookie or header.
"""

from __future__ import annotations

import base64
import json
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from render_trio.queue.producer import task_values
from render_trio.settings import reading
from render_trio.settings.setting import SettingError
from tests.processes import Running, render_trio, start_queue, start_service
from tests.redis_server import free_port
from tests.security.canaries import Canaries, command_lines

PATIENCE = 60.0  # s
TASKS = "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"
SECRETS = ("token", "password", "admin", "cookie", "header", "wrong")

# A resource that quotes its header in every way in which drawing code can fail.
PLUGIN = """
import warnings
from resources.language import N_
from resources.options import Flag
from resources.resource import Resource


class Secretive:
    def __init__(self, text):
        self.text = text

    def __del__(self):
        raise RuntimeError(self.text)

    def __repr__(self):
        return self.text


def draw(document, choices):
    header = document.request.header_text
    {print}
    warnings.warn(f"no glyph in {{header}}")
    Secretive(header)
    if choices.flag("slow"):
        import time
        time.sleep(30)
    try:
        raise KeyError(header)
    except KeyError as error:
        raise ExceptionGroup(f"for {{header}}", [ValueError(header), error]) from error


RESOURCE = Resource(
    view="canary_cage",
    name=N_("Canary Cage"),
    summary=N_("Fails."),
    options=(Flag("slow", N_("Slow"), False),),
    subtitle=lambda choices, paper: paper,
    pages=lambda choices: 1,
    draw=draw,
)
"""


@dataclass
class Stage:
    """A queue that requires tokens, a service with a failing resource, and all their output."""

    folder: Path
    canaries: Canaries
    queue: Running
    service: Running
    outputs: dict[str, str] = field(default_factory=dict)

    def client(self, **headers: str) -> httpx.Client:
        """Return a client of the service, with canaries in the headers that a browser or a program may send."""
        marked = {
            "Cookie": f"id={self.canaries['cookie']}",
            "Authorization": f"Bearer {self.canaries['header-authorization']}",
            "X-Secret": self.canaries["header-other"],
        }
        return httpx.Client(base_url=self.service.address, headers=marked | headers, trust_env=False, timeout=30)

    def insert(self, task_id: str, values: dict[str, Any] | bytes) -> None:
        """Insert a task as a producer."""
        raw = values if isinstance(values, bytes) else json.dumps({"kind": "task#render"} | values).encode()
        body = {"id": task_id, "tag": "task", "queueName": "render", "payloadBase64": base64.b64encode(raw).decode()}
        headers = {"Authorization": f"Bearer {self.canaries['token-producer']}"}
        response = httpx.post(f"{self.queue.address}{TASKS}", json=body, headers=headers, trust_env=False)
        response.raise_for_status()

    def results(self) -> int:
        """Return the number of results in the queue."""
        headers = {"Authorization": f"Bearer {self.canaries['token-producer']}"}
        found = httpx.get(f"{self.queue.address}{TASKS}", headers=headers, trust_env=False).json()
        return sum(item.get("tag") == "result" for item in found.get("items", []))

    def log(self) -> str:
        """Return the log of the service."""
        return (self.folder / "service.log").read_text(errors="replace")


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until the condition holds: it is a state of another process."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start(folder: Path, canaries: Canaries, *, print_header: bool = False, **settings: str | int) -> Stage:
    """Start the processes. `print_header`: the resource prints its header, which the search must find."""
    (folder / "plugins").mkdir()
    printing = "import sys; print(header, file=sys.stderr, flush=True)" if print_header else "pass"
    (folder / "plugins" / "cage.py").write_text(PLUGIN.format(print=printing))
    tokens = {
        "render@example.org": canaries["token-renderer"],
        "site@example.org": canaries["token-producer"],
        "admin": canaries["token-queue-admin"],
    }
    (folder / "tokens.yaml").write_text("".join(f"{name}: {token}\n" for name, token in tokens.items()))
    (folder / "token").write_text(canaries["token-renderer"])
    queue = start_queue(
        f"sqlite:///{folder / 'queue.sqlite3'}",
        "--token-file",
        str(folder / "tokens.yaml"),
        log=folder / "queue.log",
    )
    service = start_service(
        queue.address.replace("://", f"://user:{canaries['password-url']}@"),
        folder / "service.log",
        QUEUE_TOKEN_FILE=str(folder / "token"),
        ADMIN_TOKEN=canaries["admin-token"],
        PLUGIN_DIRECTORY=str(folder / "plugins"),
        RENDER_WORKERS=1,
        TASK_RETRY_LIMIT=2,
        TASK_SECONDS=5,
        QUEUE_TIMEOUT=1,
        LOG_LEVEL="debug",
        **settings,
    )
    return Stage(folder, canaries, queue, service)


@pytest.fixture(params=[("json", "process"), ("console", "thread")], ids=["json-process", "console-thread"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    log_format, isolation = request.param
    running = start(tmp_path, Canaries(), LOG_FORMAT=log_format, RENDER_ISOLATION=isolation)
    yield running
    for process in (running.service, running.queue):
        process.end(signal.SIGKILL)


def plant_tasks(stage: Stage) -> int:
    """Insert tasks that are valid, invalid and fail, with canaries in every key; returns how many."""
    canary = stage.canaries
    _, valid = task_values("grid", {})
    texts = {
        key: canary[f"task-{key}"] for key in ("header_text", "url", "filename", "seed", "resource_name", "unknown")
    }
    failing = {"resource_view": "canary_cage", "slow": False, "paper_size": "a4"}
    tasks: list[dict[str, Any] | bytes] = [
        valid | texts,
        failing | texts,
        *(
            valid | texts | {key: canary[f"bad-{key}"]}
            for key in ("paper_size", "copies", "language", "kind", "copies")
        ),
        valid | {"reply_tag": [canary["bad-reply_tag"]]},
        valid | {"header_text": [canary["bad-list"]]},
        {"resource_view": canary["bad-view"]},
        {canary["bad-key"]: canary["bad-value"]},
        f"not JSON {canary['payload-text']}".encode(),
        json.dumps(canary["payload-string"]).encode(),
        b"\xff\xfe" + canary["payload-bytes"].encode(),
    ]
    for number, task in enumerate(tasks):
        stage.insert(f"task-{number}", task)
    return len(tasks)


def visit(stage: Stage) -> None:
    """Send valid, invalid and failing requests with canaries; no response has a secret."""
    canary = stage.canaries
    header = {"header_text": canary["web-header"], "url": f"https://example.org/{canary['web-url']}"}
    cage = header | {"resource_view": "canary_cage"}
    with stage.client() as client:
        requests: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "/resources/grid.pdf", {"params": header}),
            ("GET", "/resources/grid", {"params": header, "headers": {"Accept": "text/html"}}),
            ("GET", "/resources/grid/preview", {"params": header}),
            ("GET", "/resources/grid.pdf", {"params": header | {"paper_size": canary["web-query"]}}),
            ("GET", "/resources/canary-cage.pdf", {"params": header}),
            ("GET", "/resources/canary-cage.pdf", {"params": header, "headers": {"Accept": "text/html"}}),
            ("POST", "/render", {"json": header | {"resource_view": "grid"}}),
            ("POST", "/render", {"json": cage}),
            ("POST", "/render", {"json": cage | {"paper_size": canary["web-invalid"]}}),
            ("POST", "/render", {"content": canary["web-body"]}),
            ("POST", "/tasks", {"json": {"kind": canary["web-kind"]} | cage}),
            ("POST", "/tasks", {"content": canary["web-body"], "headers": {"Content-Type": canary["web-type"]}}),
            ("POST", "/resources/canary-cage/tasks", {"data": header, "headers": {"Sec-Fetch-Site": "same-origin"}}),
            ("POST", "/resources/grid/tasks", {"data": header | {"copies": canary["web-form"]}}),
            ("POST", "/status/restart", {"data": {"token": canary["wrong-token"], "worker": canary["web-worker"]}}),
            ("GET", f"/no/{canary['web-path']}", {"params": header}),
        ]
        for method, path, options in requests:
            response = client.request(method, path, **options)
            assert canary.found_in(response.content + str(response.headers).encode(), *SECRETS) == set(), path
    with httpx.Client(base_url=stage.queue.address, trust_env=False) as stranger:
        for path in ("/", "/queues", TASKS, f"{TASKS}/task-0", "/health", "/metrics"):
            assert canary.found_in(stranger.get(path).content) == set(), path
        wrong = {"Authorization": f"Bearer {canary['wrong-queue-token']}"}
        assert canary.found_in(stranger.get(TASKS, headers=wrong).content) == set()


def look(stage: Stage) -> None:
    """Add what an operator sees to the outputs."""
    with httpx.Client(base_url=stage.service.address, trust_env=False, timeout=30) as client:
        for path in ("/status", "/health", "/metrics", "/version", "/livez", "/readyz", "/openapi.json", "/"):
            for accept in ("text/html", "application/json"):
                stage.outputs[f"{path} {accept}"] = client.get(path, headers={"Accept": accept}).text
        with client.stream("GET", "/status/events") as events:
            stage.outputs["/status/events"] = next(events.iter_text())
    stage.outputs["command lines"] = command_lines(stage.service.process.pid) + command_lines(stage.queue.process.pid)


def leaks(stage: Stage) -> dict[str, set[str]]:
    """Return the canaries in each output that has some."""
    outputs: dict[str, str | bytes] = dict(stage.outputs)
    stored = ("token", "tokens.yaml", "queue.sqlite3", "plugins")
    for path in stage.folder.rglob("*"):
        if path.is_file() and not path.relative_to(stage.folder).parts[0].startswith(stored):
            outputs[str(path.relative_to(stage.folder))] = path.read_bytes()
    assert {"service.log", "queue.log"} <= outputs.keys()
    return {name: found for name, output in outputs.items() if (found := stage.canaries.found_in(output))}


def test_no_canary_is_in_any_output(stage: Stage) -> None:
    count = plant_tasks(stage)
    visit(stage)
    wait_for(lambda: stage.results() == count)
    wait_for(lambda: "on-demand render failed" in stage.log())
    look(stage)
    (stage.folder / "token").write_text(stage.canaries["wrong-token-in-file"])
    wait_for(lambda: "401" in stage.log())
    look(stage)
    (stage.folder / "token").write_text(stage.canaries["token-renderer"])
    stage.insert("slow", {"resource_view": "canary_cage", "slow": True, "paper_size": "a4",
                          "header_text": stage.canaries["slow"]})  # fmt: skip
    headers = {"Authorization": f"Bearer {stage.canaries['token-producer']}"}
    task = f"{stage.queue.address}{TASKS}/slow"
    wait_for(lambda: httpx.get(task, headers=headers, trust_env=False).json()["retry_count"] == 1)
    stage.queue.end()
    wait_for(lambda: "does not answer" in stage.log())
    look_without_queue(stage)
    assert stage.service.end(signal.SIGTERM) in (0, 70)
    assert leaks(stage) == {}
    assert "ExceptionGroup in draw (cage.py:" in stage.log()  # the failures were logged, with their places


def look_without_queue(stage: Stage) -> None:
    with httpx.Client(base_url=stage.service.address, trust_env=False, timeout=30) as client:
        for path in ("/status", "/health", "/readyz", "/tasks/web-" + "0" * 32):
            stage.outputs[f"{path} without a queue"] = client.get(path).text


def test_the_search_finds_what_a_resource_prints(tmp_path: Path) -> None:
    """A test that can't fail proves nothing."""
    stage = start(tmp_path, Canaries(), print_header=True)
    try:
        header = stage.canaries["printed"]
        stage.insert("one", {"resource_view": "canary_cage", "slow": False, "paper_size": "a4", "header_text": header})
        wait_for(lambda: stage.results() == 1)
    finally:
        stage.service.end()
        stage.queue.end()
    assert leaks(stage) == {"service.log": {"printed"}}


@pytest.mark.parametrize("form", ["{}", "user:{}@host", "{}".upper()])
def test_the_search_finds_a_canary_in_every_form(form: str) -> None:
    canaries = Canaries()
    text = form.format(canaries["one"])
    for output in (text, base64.b64encode(text.encode()), base64.b64encode(b"x" + text.encode()), text.upper()):
        assert canaries.found_in(output) == {"one"}
    assert canaries.found_in("canary-one-0") == set()


@pytest.mark.parametrize(
    "variable",
    ["QUEUE_URL", "API_DISCOVERY_URL", "DOCUMENT_URL_PREFIX", "DOCUMENT_STORE", "QUEUE_TOKEN", "ADMIN_TOKEN", "PORT"],
)
def test_the_error_for_a_setting_shows_no_secret(variable: str) -> None:
    canaries = Canaries()
    for number, value in enumerate(
        ("http://user:{}@ho st:port", "s3://:{}@ho st?{}", "s3://user:{} {}@host", "x://{}@é\t")
    ):
        with pytest.raises(SettingError, match=variable) as caught:
            reading.read({variable: value.format(canaries[f"a{number}"], canaries[f"b{number}"])})
        assert canaries.found_in("".join(traceback.format_exception(caught.value))) == set()


def test_commands_of_producers_show_no_secret(tmp_path: Path) -> None:
    canaries = Canaries()
    port = free_port()
    settings = {"QUEUE_URL": f"http://user:{canaries['password']}@127.0.0.1:{port}", "QUEUE_TOKEN": canaries["token"]}
    for arguments in (("submit", "grid"), ("results", "--wait", "0", "--out", str(tmp_path))):
        done = render_trio(*arguments, **settings)
        assert done.returncode == 1
        assert f"http://127.0.0.1:{port}" in done.stderr
        assert canaries.found_in(done.stdout + done.stderr) == set()


@pytest.mark.parametrize(
    "store", ["redis://user:{}@127.0.0.1:{}/0", "redis://user:{}@127.0.0.1:no-port-{}", "re:{}@{}"]
)
def test_a_queue_shows_no_password_of_its_store(tmp_path: Path, store: str) -> None:
    canaries = Canaries()
    log = tmp_path / "queue.log"
    try:
        queue = start_queue(store.format(canaries["password"], free_port()), log=log)
    except AssertionError:
        pass  # it reports why it doesn't start
    else:
        httpx.get(f"{queue.address}/health", trust_env=False)
        queue.end()
    assert log.read_text() != ""
    assert canaries.found_in(log.read_bytes()) == set()
