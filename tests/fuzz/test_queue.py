"""Whatever clients send to the queue, in either dialect, they get a correct reply, and the queue stays intact."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.limits import share
from tests.fuzz.queue_requests import Memory, Method, differs, methods, requests
from tests.fuzz.sending import Answer, Sender, Sent, check_harmless
from tests.processes import start_queue
from tests.redis_server import RedisServer

API_DATA = Path(__file__).parents[2] / "emulator" / "api_data"
DOCUMENTS = {
    name: json.loads((API_DATA / f"{name}.json").read_text()) for name in ("taskqueue_v1beta2", "cloudtasks_v2beta2")
}
METHODS = {name: methods(document) for name, document in DOCUMENTS.items()}
BATCH_CALLS = 4


@dataclass
class Target:
    """A queue that is being fuzzed."""

    address: str
    sender: Sender
    memory: Memory

    def exchange(self, sent: Sent) -> Answer:
        """Send a request, remember the leases in the reply, and check what holds for every reply."""
        answer = self.sender.send(self.memory.filled_in(sent))
        check_harmless(sent, answer)
        self.memory.remember(answer)
        return answer


def run_queue(store: str, folder: Path) -> Iterator[Target]:
    """Run a queue; at its end, it must be intact and its log must contain no trace of an unexpected error."""
    log = folder / "log"
    running = start_queue(store, log=log)
    sender = Sender(running.address)
    try:
        yield Target(running.address, sender, Memory())
        with httpx.Client(base_url=running.address, trust_env=False) as client:
            health = client.get("/health")
            assert (health.status_code, health.json()["status"]) == (200, "ok")
            queue = client.get("/taskqueue/v1beta2/projects/shop/taskqueues/print?getStats=true").json()
            listed = client.get("/taskqueue/v1beta2/projects/shop/taskqueues/print/tasks").json().get("items", [])
            assert queue["stats"]["totalTasks"] == len(listed) or len(listed) == 100
            for task in listed:
                client.delete(
                    f"/taskqueue/v1beta2/projects/shop/taskqueues/print/tasks/{task['id']}"
                ).raise_for_status()
    finally:
        sender.close()
        code = running.end()
    assert code == 0
    text = log.read_text()
    assert "Traceback" not in text, text[-3000:]
    assert "request failed" not in text


@pytest.fixture(scope="module")
def sqlite_queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    yield from run_queue(f"sqlite:///{folder / 'queue.sqlite3'}", folder)


@pytest.fixture(scope="module")
def redis_queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    server = RedisServer(folder)
    server.start()
    try:
        yield from run_queue(server.url, folder)
    finally:
        server.stop()


def check_reply(method: Method, sent: Sent, answer: Answer) -> None:
    """Check a reply against the discovery document, or against the format of errors of its API."""
    if answer.status in (204, 304) or sent.method == "HEAD":
        return
    if answer.content_type == "text/html" and not sent.target.startswith(("/taskqueue/", "/v2beta2/")):
        return
    assert answer.content_type == "application/json", (sent, answer)
    value = json.loads(answer.body)
    if answer.status >= 400:
        check_error(value, answer.status)
    elif sent.method == method.verb and method.response and "X-HTTP-Method-Override" not in dict(sent.headers):
        assert not differs(value, method.response, method.schemas), (sent, answer.body[:500])


def check_error(value: Any, status: int) -> None:
    """Check that an error has one of Google's two formats, and a message."""
    error = value["error"]
    assert set(value) == {"error"}
    assert error["code"] == status
    assert error["message"]
    if "errors" in error:
        assert error["errors"][0].keys() >= {"domain", "reason", "message"}
    else:
        assert error["status"].isupper()


v1beta2 = st.sampled_from(METHODS["taskqueue_v1beta2"])
v2beta2 = st.sampled_from(METHODS["cloudtasks_v2beta2"])
with_request = lambda method: st.tuples(st.just(method), requests(method))  # noqa: E731


@share(0.25)
@given(v1beta2.flatmap(with_request))
def test_task_queue(sqlite_queue: Target, drawn: tuple[Method, Sent]) -> None:
    method, sent = drawn
    check_reply(method, sent, sqlite_queue.exchange(sent))


@share(0.25)
@given(v2beta2.flatmap(with_request))
def test_cloud_tasks(sqlite_queue: Target, drawn: tuple[Method, Sent]) -> None:
    method, sent = drawn
    check_reply(method, sent, sqlite_queue.exchange(sent))


@share(0.15)
@given((v1beta2 | v2beta2).flatmap(with_request))
def test_both_on_redis(redis_queue: Target, drawn: tuple[Method, Sent]) -> None:
    method, sent = drawn
    check_reply(method, sent, redis_queue.exchange(sent))


@share(0.05)
@given(st.lists((v1beta2 | v2beta2).flatmap(requests), min_size=1, max_size=BATCH_CALLS), st.integers(0, 19))
def test_batches(sqlite_queue: Target, calls: list[Sent], damage: int) -> None:
    parts = [
        b"--b\r\nContent-Type: application/http\r\nContent-ID: <%d>\r\n\r\n" % number + as_part(sqlite_queue, call)
        for number, call in enumerate(calls)
    ]
    body = b"".join(parts) + b"--b--\r\n"
    if damage == 0:
        body = body[: len(body) // 2]
    answer = sqlite_queue.exchange(Sent("POST", "/batch", (("Content-Type", "multipart/mixed; boundary=b"),), body))
    assert b"HTTP/1.1 5" not in answer.body, (calls, answer.body[:2000])
    if damage and answer.status == 200:
        assert answer.body.count(b"\r\nHTTP/1.1 ") == len(calls)


def as_part(target: Target, call: Sent) -> bytes:
    call = target.memory.filled_in(call)
    lines = [f"{call.method} {call.target} HTTP/1.1", *(f"{name}: {value}" for name, value in call.headers)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (call.body or b"") + b"\r\n"
