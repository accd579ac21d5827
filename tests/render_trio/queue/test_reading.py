"""A result that can't be read, or whose document is not the one it describes, is recognised with its reason."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_trio.errors import BrokenResultError
from render_trio.queue import reading
from render_trio.queue.messages import LinkResult
from render_trio.queue.reading import MAX_PAGES, read
from tests.render_trio.queue.producing import PDF, document_result, link_result


def payload_of(values: Any) -> str:
    return base64.b64encode(json.dumps(values).encode()).decode()


BROKEN = {
    "not Base64": ("%%%", "not Base64"),
    "cut off": ("a", "not Base64"),
    "empty": ("", "not JSON"),
    "not JSON": (base64.b64encode(b"{").decode(), "not JSON"),
    "not text": (base64.b64encode(b"\xff\xfe{}").decode(), "not JSON"),
    "deeply nested": (base64.b64encode(b"[" * 100_000).decode(), "not JSON"),
    "a list": (payload_of([1]), "allowed: a JSON object"),
    "a task": (payload_of({"kind": "task#render", "resource_view": "grid"}), "kind is 'task#render'"),
    "no task": (payload_of(document_result(task_id=None)), "task_id"),
    "an empty task": (payload_of(document_result(task_id="")), "task_id is empty"),
    "no success": (payload_of(document_result(success=None)), "success"),
    "success as text": (payload_of(document_result(success="yes")), "success"),
    "pages as text": (payload_of(document_result(pages="one")), "pages"),
    "endless pages": (payload_of(document_result(pages=10**400)), "pages|JSON"),
    "a file name of another type": (payload_of(document_result(filename=["x"])), "filename"),
    "no document": (payload_of(document_result(document=None)), "document is missing"),
    "a document of another type": (payload_of(document_result(document=7)), "document"),
    "a document that is not Base64": (payload_of(document_result(document="%%")), "document is not Base64"),
    "another digest": (payload_of(document_result(sha256="0" * 64)), "SHA-256"),
    "no PDF": (payload_of(document_result(b"<html>")), "not a PDF"),
    "a link without a digest": (payload_of(link_result("http://x", sha256=None)), "sha256"),
    "a link with a path as its digest": (payload_of(link_result("http://x", sha256="../x")), "sha256 is '../x'"),
    "a failed link": (payload_of(link_result("http://x", success=False)), "success is false"),
    "warnings of another type": (payload_of(document_result(warnings="none")), "warnings"),
    "a request of another type": (payload_of(document_result(request=[])), "request"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_result_has_a_reason(name: str) -> None:
    payload, reason = BROKEN[name]
    with pytest.raises(BrokenResultError, match=reason):
        read(payload)


def test_a_huge_payload_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PAYLOAD_CHARACTERS", 1000)
    with pytest.raises(BrokenResultError, match="allowed: 1000"):
        read(payload_of(document_result(PDF + b"x" * 1000)))


@pytest.mark.parametrize("pages", [1, 2, MAX_PAGES])
def test_a_document_has_between_one_and_a_million_pages(pages: int) -> None:
    assert read(payload_of(document_result(pages=pages)))[0].pages == pages
    assert MAX_PAGES == 1_000_000


@pytest.mark.parametrize("pages", [-1, 0, MAX_PAGES + 1])
def test_another_number_of_pages_is_broken(pages: int) -> None:
    with pytest.raises(BrokenResultError, match="1 to 1000000") as raised:
        read(payload_of(document_result(pages=pages)))
    assert raised.value.task_id == "one"


@pytest.mark.parametrize(("excess", "accepted"), [(0, True), (1, False)])
def test_a_payload_may_have_the_limit_of_characters(
    excess: int, accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reading.MAX_PAYLOAD_CHARACTERS == 2**25
    payload = payload_of(document_result())
    monkeypatch.setattr(reading, "MAX_PAYLOAD_CHARACTERS", len(payload) - excess)
    if accepted:
        assert read(payload)[1] == PDF
    else:
        with pytest.raises(BrokenResultError, match="characters; allowed"):
            read(payload)


@pytest.mark.parametrize(("length", "shown"), [(58, "'" + "k" * 58 + "'"), (59, "'" + "k" * 59 + "…")])
def test_an_invalid_value_is_shown_with_at_most_60_characters(length: int, shown: str) -> None:
    with pytest.raises(BrokenResultError) as raised:
        read(payload_of(document_result(kind="k" * length)))
    assert f"kind is {shown};" in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("pages", 0), ("sha256", "0" * 64), ("success", "yes"), ("kind", "task#render"), ("document", "%")],
)
def test_every_reason_names_the_task_of_the_result(key: str, value: object) -> None:
    with pytest.raises(BrokenResultError) as raised:
        read(payload_of(document_result(**{key: value})))
    assert raised.value.task_id == "one"


def test_the_task_of_a_broken_result_is_known_if_it_names_one() -> None:
    with pytest.raises(BrokenResultError) as raised:
        read(payload_of(document_result(pages="one")))
    assert raised.value.task_id == "one"


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"pages": None, "sha256": None},  # of a service before these keys
        {"kind": None},
        {"kind": None, "url": "https://example.org/x"},  # it has a document all the same
        {"colour": "red", "later": {"a": [1]}},
        {"fingerprint": "abc", "request": {"resource_view": "grid"}, "warnings": []},
        {"filename": None},
    ],
)
def test_results_of_older_and_newer_services_are_read(keys: dict[str, Any]) -> None:
    assert read(payload_of(document_result(**keys)))[1] == PDF


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_both_alphabets_of_base64_are_read_with_and_without_padding(encode: Any) -> None:
    document = PDF + bytes(range(256))
    result = document_result(document, document=encode(document).decode().rstrip("="))
    payload = encode(json.dumps(result).encode()).decode()
    for text in (payload, payload.rstrip("=")):
        assert read(text)[1] == document


@pytest.mark.parametrize("kind", ["result#link", None])
def test_a_link_has_no_document_yet(kind: str | None) -> None:
    result, document = read(payload_of(link_result("https://example.org/x", kind=kind)))
    assert isinstance(result, LinkResult)
    assert document is None


def test_a_failure_has_its_reason() -> None:
    failed = {"kind": "result#document", "success": False, "task_id": "one", "filename": None, "document": None}
    result, document = read(payload_of(failed | {"error": {"code": "invalid_option", "message": "no"}}))
    assert (result.success, document) == (False, None)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from([*document_result(), "url", "error", "warnings", "request"]), inner)
        ),
    )
)
def test_any_json_is_read_or_broken(values: Any) -> None:
    with contextlib.suppress(BrokenResultError):
        read(payload_of(values))
