"""Tasks and results on the wire: the JSON that producers encode and decode."""

from __future__ import annotations

import base64

import msgspec
import pytest

from render_trio.queue.messages import (
    DocumentResult,
    LeasedTask,
    LinkResult,
    Result,
    decode,
    decode_result,
    encode_result,
    encode_task,
    failure,
    success,
)
from resources.request import RequestWarning
from tests.render_trio.fakes import TASK


def test_a_failure_has_the_keys_that_older_producers_expect() -> None:
    failed = base64.b64decode(encode_result(failure("one", "not_json", "why")))
    assert failed == (
        b'{"kind":"result#document","success":false,"task_id":"one","filename":null,"document":null,'
        b'"error":{"code":"not_json","message":"why"}}'
    )


def test_a_result_survives_encoding_and_decoding() -> None:
    link = LinkResult(task_id="one", filename="a.pdf", url="https://x", pages=1, sha256="f")
    assert decode_result(encode_result(link)) == link
    assert decode_result(encode_result(failure("one", "a", "b"))) == failure("one", "a", "b")


def finished(url: str | None, warnings: tuple[RequestWarning, ...] = ()) -> Result:
    """Return the result of a task with a header that is a little too long."""
    task = decode(LeasedTask("one", encode_task(TASK | {"colour": "red"}), 0, 0, 0))
    return success(
        task,
        1_700_000_000_000_000,
        filename="a.pdf",
        pdf=b"%PDF",
        pages=3,
        sha256="f",
        fingerprint="0123",
        warnings=warnings,
        url=url,
    )


def test_a_document_without_a_url_travels_in_its_result() -> None:
    result = finished(None)
    assert isinstance(result, DocumentResult)
    assert base64.b64decode(result.document or "") == b"%PDF"
    assert (result.success, result.task_id, result.filename, result.pages, result.sha256) == (
        True,
        "one",
        "a.pdf",
        3,
        "f",
    )


def test_a_stored_document_is_linked() -> None:
    result = finished("https://x/f.pdf")
    assert isinstance(result, LinkResult)
    assert (result.url, result.filename, result.pages, result.sha256) == ("https://x/f.pdf", "a.pdf", 3, "f")


@pytest.mark.parametrize("url", [None, "https://x/f.pdf"])
def test_a_result_names_its_submission_its_drawing_and_its_warnings(url: str | None) -> None:
    drawing = RequestWarning("truncated", "header_text", "cut off")
    result = decode_result(encode_result(finished(url, (drawing,))))
    assert (result.enqueue_timestamp, result.fingerprint) == ("1700000000000000", "0123")
    assert isinstance(result.warnings, tuple)
    assert [(warning.code, warning.field) for warning in result.warnings] == [
        ("unknown_option", "colour"),
        ("truncated", "header_text"),
    ]


def test_the_request_in_a_result_draws_the_same_document_again() -> None:
    result = finished(None)
    assert isinstance(result.request, dict)
    again = decode(LeasedTask("another", encode_task(result.request), 0, 0, 0))
    assert again.warnings == ()
    assert again.request == decode(LeasedTask("one", encode_task(TASK), 0, 0, 0)).request
    assert again.request.seed == "one", "the seed was derived from the ID of the first task"


def test_results_of_version_0_1_0_can_be_read() -> None:
    old = (
        b'{"kind":"result#link","success":true,"task_id":"one","filename":"a","url":"https://x","pages":1,"sha256":"f"}'
    )
    result = decode_result(base64.b64encode(old).decode())
    assert (result.task_id, result.warnings, result.fingerprint) == ("one", msgspec.UNSET, msgspec.UNSET)


@pytest.mark.parametrize(
    "content",
    [
        b'{"kind": "task#render", "resource_view": "grid", "paper_size": "a4", "x": NaN}',
        b'{"kind": "task#render", "resource_view": "grid", "paper_size": "a4", "x": 1e999}',
        b'{"kind": "task#render", "resource_view": "grid", "paper_size": "a4", "x": 1%s}' % (b"0" * 3000),
        b'{"kind": "task#render", "resource_view": "grid", "paper_size": "a4", "header_text": "a\\ud800"}',
        b'\xef\xbb\xbf{"kind": "task#render", "resource_view": "grid", "paper_size": "a4"}',
        '{"kind": "task#render", "resource_view": "grid", "paper_size": "a4"}'.encode("utf-16"),
    ],
)
def test_json_that_only_python_writes_is_accepted(content: bytes) -> None:
    assert decode(LeasedTask("one", base64.b64encode(content).decode(), 0, 0, 0)).request.view == "grid"
