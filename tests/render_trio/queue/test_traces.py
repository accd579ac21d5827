"""The traceparent of a task is in its result; an invalid one never makes a task fail."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from render_trio.observation import trace_context
from render_trio.queue.messages import (
    LeasedTask,
    checked_task,
    decode,
    decode_result,
    encode_result,
    encode_task,
    failure,
    success,
    traceparent_of,
)
from render_trio.queue.task_queue.connection import QueueConnection
from tests.render_trio.fakes import TASK

VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def leased(**more: Any) -> LeasedTask:
    return LeasedTask("one", encode_task(TASK | more), 0, 0, 0)


@pytest.mark.parametrize("url", [None, "https://example.org/x.pdf"])
def test_a_result_has_the_traceparent_of_its_task(url: str | None) -> None:
    task = decode(leased(traceparent=VALID))
    assert task.warnings == ()
    result = success(task, 0, filename="x.pdf", pdf=b"", pages=1, sha256="", fingerprint="", warnings=(), url=url)
    assert result.traceparent == VALID
    assert decode_result(encode_result(result)) == result
    assert "traceparent" not in task.request.task_values()


def test_a_failure_has_the_traceparent_of_its_task() -> None:
    assert traceparent_of(leased(traceparent=VALID, resource_view="nothing")) == VALID
    assert failure("one", "code", "message", 0, VALID).traceparent == VALID


def test_without_a_traceparent_results_are_as_before() -> None:
    result = success(
        decode(leased()), 0, filename="", pdf=b"", pages=1, sha256="", fingerprint="", warnings=(), url=None
    )
    assert b"traceparent" not in base64.b64decode(encode_result(result))
    assert decode(leased(traceparent=None)).warnings == ()


@pytest.mark.parametrize("invalid", ["", "x", VALID.upper(), VALID + "-more", 1, 1.5, True, [], {}, "x" * 5000, "\0"])
def test_an_invalid_traceparent_is_ignored_with_a_warning(invalid: object) -> None:
    task = decode(leased(traceparent=invalid))
    assert task.traceparent == ""
    assert [(warning.code, warning.field) for warning in task.warnings] == [("ignored", "traceparent")]
    assert len(task.warnings[0].message) < 200
    assert traceparent_of(leased(traceparent=invalid)) == ""
    assert checked_task(msgspec.json.encode(TASK | {"kind": "task#render", "traceparent": invalid}))


def test_a_payload_that_can_not_be_decoded_has_none() -> None:
    assert traceparent_of(LeasedTask("one", "?", 0, 0, 0)) == ""


async def test_requests_to_the_queue_carry_the_traceparent_of_the_task_in_progress() -> None:
    sent: list[str | None] = []

    class Recording:
        """A transport that accepts every request."""

        async def send(self, request: httpx.Request, *, seconds: float, limit: int) -> httpx.Response:
            sent.append(request.headers.get("traceparent"))
            return httpx.Response(200, json={})

        def now(self) -> float:
            return 0.0

        def __getattr__(self, name: str) -> Callable[..., object]:
            raise AssertionError(name)

    connection = QueueConnection("http://queue", "/x", timeout=5, transport=Recording())  # type: ignore[arg-type]
    await connection.request("GET", "/", lambda response: True)
    with trace_context.bound(VALID):
        await connection.request("GET", "/", lambda response: True)
    assert sent == [None, VALID]
