"""The payloads on the wire: a leased task → a validated `RenderTask`; a document or a failure → an encoded result."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import msgspec

from render_trio.errors import InvalidTaskError
from resources.parsing import RequestError, parse_request
from resources.request import Request

TASK_KIND = "task#render"
TASK_TAG = "task"
RESULT_TAG = "result"
DOCUMENT_KIND = "result#document"
LINK_KIND = "result#link"
# A task with every field at its limit takes less than 4 KiB; a longer payload is rejected without decoding it.
TASK_BYTES = 64 * 1024
TAG_CHARACTERS = 500
TASK_ID_CHARACTERS = 500


class LeasedTask(msgspec.Struct, frozen=True):
    """A task as the queue returned it, with its payload still encoded. Times in microseconds since the epoch."""

    id: str
    payload: str
    lease_us: int
    enqueued_us: int
    retry_count: int


class RenderTask(msgspec.Struct, frozen=True):
    """A request for a document, with every value validated."""

    id: str
    request: Request
    reply_tag: str


class Failure(msgspec.Struct, frozen=True):
    """The reason why there is no document: `code` for programs, `message` for people."""

    code: str
    message: str


class DocumentResult(msgspec.Struct, frozen=True, kw_only=True):
    """A document in Base64 inside the result or, if `success` is false, the reason why there is none."""

    kind: str = DOCUMENT_KIND
    success: bool
    task_id: str
    filename: str | None = None
    document: str | None = None
    pages: int | msgspec.UnsetType = msgspec.UNSET
    sha256: str | msgspec.UnsetType = msgspec.UNSET
    error: Failure | msgspec.UnsetType = msgspec.UNSET


class LinkResult(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a stored document."""

    kind: str = LINK_KIND
    success: bool = True
    task_id: str
    filename: str
    url: str
    pages: int
    sha256: str


Result = DocumentResult | LinkResult


def result_id(task_id: str) -> str:
    """Return the ID of a task's result: derived from the task's ID alone, so inserting the result twice is harmless."""
    plain = f"{task_id}-result"
    return plain if len(plain) <= TASK_ID_CHARACTERS else f"{hashlib.sha256(task_id.encode()).hexdigest()}-result"


def decode(leased: LeasedTask) -> RenderTask:
    """Return the validated task. Raises InvalidTaskError, whose code and message are sent to the producer."""
    return _render_task(leased.id, _object(leased.payload))


def checked_task(body: bytes) -> dict[str, Any]:
    """Return the values of a task that is given as JSON. Raises InvalidTaskError as `decode` does."""
    if len(body) > TASK_BYTES:
        raise InvalidTaskError("too_large", f"the task has {len(body)} bytes; allowed: at most {TASK_BYTES}")
    values = _json_object(body)
    _render_task("", dict(values))
    return values


def _render_task(task_id: str, values: dict[str, Any]) -> RenderTask:
    kind = values.pop("kind", None)
    if kind != TASK_KIND:
        raise InvalidTaskError("unknown_kind", f"kind is {_shortened(kind)}; allowed: {TASK_KIND!r}", "kind")
    tag = _reply_tag(values.pop("reply_tag", None))
    try:
        return RenderTask(task_id, parse_request(values, default_seed=task_id), tag)
    except RequestError as error:
        raise InvalidTaskError(error.code, str(error), error.field) from error


def reply_tag_of(leased: LeasedTask) -> str:
    """Return the tag for a failure result: the one in the task or, if it can't be decoded, the default."""
    try:
        return _reply_tag(_object(leased.payload).get("reply_tag"))
    except InvalidTaskError:
        return RESULT_TAG


def encode_task(values: dict[str, Any]) -> str:
    """Return the payload of a task: Base64-encoded JSON."""
    return base64.b64encode(msgspec.json.encode({"kind": TASK_KIND} | values)).decode()


def success(task_id: str, *, filename: str, pdf: bytes, pages: int, sha256: str, url: str | None) -> Result:
    """Return the result of a finished document: a link to `url`, or the PDF itself if `url` is None."""
    if url is not None:
        return LinkResult(task_id=task_id, filename=filename, url=url, pages=pages, sha256=sha256)
    document = base64.b64encode(pdf).decode()
    return DocumentResult(
        success=True, task_id=task_id, filename=filename, document=document, pages=pages, sha256=sha256
    )


def failure(task_id: str, code: str, message: str) -> DocumentResult:
    """Return the result of a task that failed."""
    return DocumentResult(success=False, task_id=task_id, error=Failure(code, message))


def encode_result(result: Result) -> str:
    """Return the payload of a result. It always has the keys `filename` and, unless it is a link, `document`."""
    return base64.b64encode(msgspec.json.encode(result)).decode()


def decode_result(payload: str) -> Result:
    """Return the result in a payload. Raises ValueError or msgspec.DecodeError if the payload is not a result."""
    raw = base64.b64decode(payload)
    kind = msgspec.json.decode(raw, type=dict[str, Any]).get("kind")
    if kind == LINK_KIND:
        return msgspec.json.decode(raw, type=LinkResult)
    return msgspec.json.decode(raw, type=DocumentResult)


def _object(payload: str) -> dict[str, Any]:
    if len(payload) > TASK_BYTES * 4 // 3 + 4:
        raise InvalidTaskError("too_large", f"the task has more than {TASK_BYTES} bytes; allowed: at most {TASK_BYTES}")
    unpadded = payload.rstrip("=").translate(str.maketrans("-_", "+/"))  # both Base64 alphabets are accepted
    try:
        raw = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidTaskError("not_base64", f"the payload is not Base64: {error}") from error
    return _json_object(raw)


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        values = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidTaskError("not_json", f"the payload is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise InvalidTaskError("not_an_object", f"the payload is {_shortened(values)}; allowed: a JSON object")
    return values


def _reply_tag(tag: object) -> str:
    if tag is None or tag == "":
        return RESULT_TAG
    if isinstance(tag, str) and len(tag) <= TAG_CHARACTERS and tag.isprintable():
        if tag == TASK_TAG:
            message = (
                f"reply_tag is {TASK_TAG!r}; allowed: any other tag, because the service leases tasks with this one"
            )
            raise InvalidTaskError("invalid_option", message, "reply_tag")
        return tag
    allowed = f"printable text of at most {TAG_CHARACTERS} characters"
    raise InvalidTaskError("invalid_option", f"reply_tag is {_shortened(tag)}; allowed: {allowed}", "reply_tag")


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 42 else f"{text[:40]}…"
