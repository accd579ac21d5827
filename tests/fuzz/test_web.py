"""Whatever clients send to the web side, they get a documented reply, and the service goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.fuzz.limits import share
from tests.fuzz.sending import STREAM, Answer, Sender, Sent, check_harmless
from tests.fuzz.web_requests import Operation, operations, requests
from tests.processes import queue, start_service
from tests.render_trio.web.openapi.test_openapi import DOCUMENT

OPERATIONS = operations(DOCUMENT)
# Each streams for ever, and few are allowed at once: enough of them are opened by the other requests.
PROBLEM = "application/problem+json"
PROBLEMS = Draft202012Validator({**DOCUMENT, "$ref": "#/components/schemas/Problem"})
# Statuses that belong to HTTP, not to an operation.
OF_HTTP = (304, 308, 400, 403, 404, 405, 406, 408, 411, 413, 414, 415, 417, 421, 431, 503)


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    """A service, which must still be healthy at the end and must not have logged an unexpected error."""
    folder = tmp_path_factory.mktemp("fuzz")
    log = folder / "log"
    with queue(f"sqlite:///{folder / 'queue.sqlite3'}") as running:
        service = start_service(running.address, log, ADMIN_TOKEN="t" * 20, WEB_RESULT_SECONDS=60, LOG_LEVEL="warning")
        sender = Sender(service.address)
        try:
            yield sender
            health = httpx.get(f"{service.address}/health", trust_env=False)
            assert (health.status_code, health.json()["status"]) == (200, "ok"), health.text
            assert health.json()["workers"][0]["restarts"] == 0
        finally:
            sender.close()
            code = service.end()
    assert code == 0
    text = log.read_text()
    assert "Traceback" not in text, text[-3000:]
    assert "request failed" not in text


def check_reply(operation: Operation, sent: Sent, answer: Answer) -> None:
    """Check that the status is documented, and that an error says what is wrong in the documented format."""
    if sent.method == operation.verb:
        assert str(answer.status) in operation.responses or answer.status in OF_HTTP, (sent, answer)
    if sent.method == "HEAD":
        assert not answer.body
    elif answer.status == 400 and not answer.body:
        pass  # invalid HTTP, which the server refuses before the application sees it
    elif answer.status >= 400 and answer.content_type != "text/html":
        assert answer.content_type == PROBLEM, (sent, answer, answer.body[:300])
        assert (answer.status == 405) == ("Allow" in answer.headers), sent
        PROBLEMS.validate(json.loads(answer.body))
    elif answer.content_type == "application/json":
        json.loads(answer.body)
    elif answer.content_type == "application/pdf" and answer.status == 200:
        assert answer.body.startswith(b"%PDF-")


@share(0.3)
@given(st.sampled_from(OPERATIONS).flatmap(lambda operation: st.tuples(st.just(operation), requests(operation))))
def test_the_web_side(sender: Sender, drawn: tuple[Operation, Sent]) -> None:
    operation, sent = drawn
    answer = sender.send(sent)
    check_harmless(sent, answer)
    if answer.content_type != STREAM:
        check_reply(operation, sent, answer)
