"""Results on the wire: the JSON that producers decode, and the IDs that results are stored under."""

from __future__ import annotations

import base64

from render_trio.queue.messages import (
    DocumentResult,
    LinkResult,
    decode_result,
    encode_result,
    failure,
    result_id,
    success,
)


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


def test_a_document_without_a_url_travels_in_its_result() -> None:
    result = success("one", filename="a.pdf", pdf=b"%PDF", pages=3, sha256="f", url=None)
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
    result = success("one", filename="a.pdf", pdf=b"%PDF", pages=3, sha256="f", url="https://x/f.pdf")
    assert result == LinkResult(task_id="one", filename="a.pdf", url="https://x/f.pdf", pages=3, sha256="f")


def test_a_result_s_id_is_derived_from_its_task_s_id() -> None:
    assert result_id("one") == "one-result"
    assert len(result_id("x" * 500)) <= 500
    assert result_id("x" * 500) != result_id("x" * 499 + "y")
