"""Tasks and results on the wire: the JSON that producers encode and decode."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec
import pytest

from render_trio.errors import InvalidTaskError
from render_trio.queue.messages import (
    TAG_CHARACTERS,
    TASK_BYTES,
    DocumentResult,
    LeasedTask,
    LinkResult,
    Result,
    checked_task,
    decode,
    decode_result,
    encode_result,
    encode_task,
    failure,
    reply_tag_of,
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


def test_a_failure_names_its_submission() -> None:
    """The producer may have submitted another task under the same ID since."""
    failed = decode_result(encode_result(failure("one", "not_json", "why", 1_700_000_000_000_000)))
    assert failed.enqueue_timestamp == "1700000000000000"
    assert failure("one", "not_json", "why").enqueue_timestamp is msgspec.UNSET


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


def task_of(content: bytes) -> LeasedTask:
    return LeasedTask("one", base64.b64encode(content).decode(), 0, 0, 0)


def padded(size: int) -> bytes:
    """Return a task of so many bytes."""
    task = b'{"kind": "task#render", "resource_view": "grid", "paper_size": "a4", "reply_tag": "mine"'
    return task + b" " * (size - len(task) - 1) + b"}"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"[" * 48_000, "not_json"),
        (b'{"kind": ' + b"[" * 48_000, "not_json"),
        (b'{"kind": ' * 5_000, "not_json"),
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"\xff", "not_json"),
        (b"[]", "not_an_object"),
        (b"7", "not_an_object"),
        (b"{}", "unknown_kind"),
        (b'{"kind": "task#other"}', "unknown_kind"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_payload_that_is_no_task_is_invalid_and_its_failure_has_the_default_tag(content: bytes, code: str) -> None:
    with pytest.raises(InvalidTaskError) as raised:
        decode(task_of(content))
    assert raised.value.code == code
    assert reply_tag_of(task_of(content)) == "result"
    with pytest.raises(InvalidTaskError) as raised:
        checked_task(content)
    assert raised.value.code == code


@pytest.mark.parametrize("payload", ["%%%", "a", "\u00e9\u00e9\u00e9\u00e9"])
def test_a_payload_that_is_not_base64_is_invalid(payload: str) -> None:
    leased = LeasedTask("one", payload, 0, 0, 0)
    with pytest.raises(InvalidTaskError, match="not Base64"):
        decode(leased)
    assert reply_tag_of(leased) == "result"


@pytest.mark.parametrize(("size", "accepted"), [(TASK_BYTES - 1, True), (TASK_BYTES, True), (TASK_BYTES + 6, False)])
def test_a_task_has_at_most_64_kib(size: int, accepted: bool) -> None:
    content = padded(size)
    assert len(content) == size
    if accepted:
        assert decode(task_of(content)).reply_tag == "mine"
        assert checked_task(content.replace(b'"reply_tag"', b'"seed"     '))["seed"] == "mine"
    else:
        with pytest.raises(InvalidTaskError, match="allowed: at most 65536") as raised:
            decode(task_of(content))
        assert raised.value.code == "too_large"
        with pytest.raises(InvalidTaskError, match=f"the task has {size} bytes; allowed: at most 65536") as raised:
            checked_task(content)
        assert raised.value.code == "too_large"
        assert reply_tag_of(task_of(content)) == "result"


def test_a_task_given_as_json_has_at_most_64_kib_exactly() -> None:
    with pytest.raises(InvalidTaskError):
        checked_task(padded(TASK_BYTES + 1))


@pytest.mark.parametrize(
    ("tag", "read"),
    [
        (None, "result"),
        ("", "result"),
        ("mine", "mine"),
        ("t" * TAG_CHARACTERS, "t" * TAG_CHARACTERS),
        ("t" * (TAG_CHARACTERS + 1), None),
        ("task", None),
        ("web-task", None),
        ("web-result", None),
        ("a\n", None),
        (7, None),
        (["x"], None),
    ],
    ids=lambda value: str(value)[:10],
)
def test_a_reply_tag_is_printable_text_of_at_most_500_characters(tag: object, read: str | None) -> None:
    leased = LeasedTask("one", encode_task(TASK | {"reply_tag": tag}), 0, 0, 0)
    if read is not None:
        assert decode(leased).reply_tag == reply_tag_of(leased) == read
    else:
        with pytest.raises(InvalidTaskError, match="reply_tag is") as raised:
            decode(leased)
        assert (raised.value.code, raised.value.field) == ("invalid_option", "reply_tag")
        assert reply_tag_of(leased) == "result"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_task_is_read_in_both_alphabets_of_base64_with_and_without_padding(encode: Callable[[bytes], bytes]) -> None:
    contents = [padded(size) for size in (100, 101, 102)]
    contents += [
        b'{"kind": "task#render", "resource_view": "grid", "paper_size": "a4", "header_text": "???>>>\xc3\xbf\xc3\xbe"}'
    ]
    for content in contents:
        payload = encode(content).decode()
        for text in (payload, payload.rstrip("=")):
            assert decode(LeasedTask("one", text, 0, 0, 0)).request.view == "grid"


def test_json_that_only_python_writes_is_refused_where_it_can_be_corrected() -> None:
    with pytest.raises(InvalidTaskError, match="not JSON"):
        checked_task(b'{"kind": "task#render", "resource_view": "grid", "paper_size": "a4", "x": NaN}')


def test_an_invalid_option_is_reported_with_its_field() -> None:
    content = b'{"kind": "task#render", "resource_view": "grid", "paper_size": "a9"}'
    with pytest.raises(InvalidTaskError) as raised:
        decode(task_of(content))
    assert raised.value.field == "paper_size"
    with pytest.raises(InvalidTaskError) as raised:
        checked_task(content)
    assert raised.value.field == "paper_size"
