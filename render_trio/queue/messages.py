"""The payloads on the wire: a leased task → a validated `RenderTask`; a document or a failure → an encoded result."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import msgspec

from render_trio.errors import InvalidTaskError, RenderFailedError, loggable
from render_trio.observation import trace_context
from resources.options import shortened
from resources.parsing import RequestError, parse_request, read_task
from resources.request import Request, RequestWarning

TASK_KIND = "task#render"
TASK_TAG = "task"
RESULT_TAG = "result"
# Of tasks from the web and of their results: visitors submit them, so they are kept apart from those of producers.
WEB_TASK_TAG = "web-task"
WEB_RESULT_TAG = "web-result"
DOCUMENT_KIND = "result#document"
LINK_KIND = "result#link"
# A task with every field at its limit takes less than 16 KiB; a longer payload is rejected without decoding it.
TASK_BYTES = 64 * 1024
# The largest document of a task from the web. Ours have at most 320 KiB, those with 50 copies included.
WEB_DOCUMENT_BYTES = 1024 * 1024
TAG_CHARACTERS = 500
WEB_PREFIX = "web-"  # of the IDs that this service generates for tasks from the web, which are never used again


class LeasedTask(msgspec.Struct, frozen=True):
    """A task as the queue returned it, with its payload still encoded. Times in microseconds since the epoch.

    `tag` is the one with which it was leased or found.
    """

    id: str
    payload: str
    lease_us: int
    enqueued_us: int
    retry_count: int
    tag: str = TASK_TAG

    @property
    def from_web(self) -> bool:
        """Whether a visitor submitted the task: it can't choose where its result goes."""
        return self.tag == WEB_TASK_TAG


class RenderTask(msgspec.Struct, frozen=True):
    """A request for a document, with every value validated, and what in the task has no effect.

    `traceparent` is "" unless the task has a valid one.
    """

    id: str
    request: Request
    reply_tag: str
    warnings: tuple[RequestWarning, ...] = ()
    traceparent: str = ""


class Failure(msgspec.Struct, frozen=True):
    """The reason why there is no document: `code` for programs, `message` for people."""

    code: str
    message: str


class DocumentResult(msgspec.Struct, frozen=True, kw_only=True):
    """A document in Base64 inside the result or, if `success` is false, the reason why there is none.

    enqueue_timestamp: the task's, in microseconds since the epoch as text: which submission of the ID this answers.
    fingerprint: the version of the resource that drew the document.
    warnings: how the document differs from what the task asked for.
    request: the task as it was understood, with the seed that was used: submitting it again draws the same document.
    traceparent: that of the task, if it had a valid one.

    Version 0.1.0 had none of these five keys.
    """

    kind: str = DOCUMENT_KIND
    success: bool
    task_id: str
    filename: str | None = None
    document: str | None = None
    pages: int | msgspec.UnsetType = msgspec.UNSET
    sha256: str | msgspec.UnsetType = msgspec.UNSET
    error: Failure | msgspec.UnsetType = msgspec.UNSET
    enqueue_timestamp: str | msgspec.UnsetType = msgspec.UNSET
    fingerprint: str | msgspec.UnsetType = msgspec.UNSET
    warnings: tuple[RequestWarning, ...] | msgspec.UnsetType = msgspec.UNSET
    request: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET


class LinkResult(msgspec.Struct, frozen=True, kw_only=True):
    """The address of a stored document. The last five keys are those of DocumentResult."""

    kind: str = LINK_KIND
    success: bool = True
    task_id: str
    filename: str
    url: str
    pages: int
    sha256: str
    enqueue_timestamp: str | msgspec.UnsetType = msgspec.UNSET
    fingerprint: str | msgspec.UnsetType = msgspec.UNSET
    warnings: tuple[RequestWarning, ...] | msgspec.UnsetType = msgspec.UNSET
    request: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    traceparent: str | msgspec.UnsetType = msgspec.UNSET


Result = DocumentResult | LinkResult


def decode(leased: LeasedTask) -> RenderTask:
    """Return the task, read tolerantly: its producer may be older or newer than this service.

    Raises InvalidTaskError, whose code and message are sent to the producer; RenderFailedError if the resource's own
    check fails in another way.
    """
    values = _object(leased.payload)
    traceparent, invalid = _traceparent(values)
    _check_kind(values)
    tag = _reply_tag(leased, values.pop("reply_tag", None))
    try:
        request, warnings = read_task(values, default_seed=leased.id)
    except RequestError as error:
        raise InvalidTaskError(error.code, str(error), error.field, loggable=error.loggable) from error
    except Exception as error:  # the check of a plug-in's resource may raise anything
        raise RenderFailedError(f"{type(error).__name__}: {error}", loggable=loggable(error)) from error
    return RenderTask(leased.id, request, tag, (*warnings, *invalid), traceparent)


def checked_task(body: bytes) -> dict[str, Any]:
    """Return the values of a task from the web that is given as JSON, every one checked.

    It can't choose the tag of its result: otherwise visitors could put documents among the results of producers.
    Raises InvalidTaskError; the caller can correct the task at once.
    """
    if len(body) > TASK_BYTES:
        raise InvalidTaskError("too_large", f"the task has {len(body)} bytes; allowed: at most {TASK_BYTES}")
    values = _json_object(body)
    remaining = dict(values)
    _traceparent(remaining)
    _check_kind(remaining)
    if "reply_tag" in remaining:
        message = "reply_tag is not allowed here: results of tasks from the web are kept apart; leave the key out"
        raise InvalidTaskError("unknown_option", message, "reply_tag")
    try:
        parse_request(remaining, default_seed="")
    except RequestError as error:
        raise InvalidTaskError(error.code, str(error), error.field, loggable=error.loggable) from error
    return values


def _check_kind(values: dict[str, Any]) -> None:
    """Remove the kind. Raises InvalidTaskError unless it is that of a task."""
    kind = values.pop("kind", None)
    if kind != TASK_KIND:
        message = f"kind is {shortened(kind)}; allowed: {TASK_KIND!r}"
        raise InvalidTaskError("unknown_kind", message, "kind", loggable=f"kind is invalid; allowed: {TASK_KIND!r}")


def reply_tag_of(leased: LeasedTask) -> str:
    """Return the tag for a failure result: the one in the task or, if it can't be decoded, the default."""
    if leased.from_web:
        return WEB_RESULT_TAG
    try:
        return _reply_tag(leased, _object(leased.payload).get("reply_tag"))
    except InvalidTaskError:
        return RESULT_TAG


def traceparent_of(leased: LeasedTask) -> str:
    """Return the traceparent in the task, "" if it has no valid one or can't be decoded."""
    try:
        return trace_context.checked(_object(leased.payload).get("traceparent"))
    except InvalidTaskError:
        return ""


def encode_task(values: dict[str, Any]) -> str:
    """Return the payload of a task: Base64-encoded JSON."""
    return base64.b64encode(msgspec.json.encode({"kind": TASK_KIND} | values)).decode()


def success(
    task: RenderTask,
    enqueued_us: int,
    *,
    filename: str,
    pdf: bytes,
    pages: int,
    sha256: str,
    fingerprint: str,
    warnings: tuple[RequestWarning, ...],
    url: str | None,
) -> Result:
    """Return the result of a finished document: a link to `url`, or the PDF itself if `url` is None.

    `enqueued_us` is the time of the task's insertion; `warnings` are those of the drawing.
    """
    common: dict[str, Any] = {
        "task_id": task.id,
        "enqueue_timestamp": str(enqueued_us),
        "filename": filename,
        "pages": pages,
        "sha256": sha256,
        "fingerprint": fingerprint,
        "warnings": (*task.warnings, *warnings),
        "request": task.request.task_values(),
        "traceparent": task.traceparent or msgspec.UNSET,
    }
    if url is not None:
        return LinkResult(url=url, **common)
    return DocumentResult(success=True, document=base64.b64encode(pdf).decode(), **common)


def failure(
    task_id: str, code: str, message: str, enqueued_us: int | None = None, traceparent: str = ""
) -> DocumentResult:
    """Return the result of a task that failed."""
    return DocumentResult(
        success=False,
        task_id=task_id,
        enqueue_timestamp=msgspec.UNSET if enqueued_us is None else str(enqueued_us),
        error=Failure(code, message),
        traceparent=traceparent or msgspec.UNSET,
    )


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
        message = f"the task has more than {TASK_BYTES} bytes; allowed: at most {TASK_BYTES}"
        raise InvalidTaskError("too_large", message, loggable=message)
    unpadded = payload.rstrip("=").translate(str.maketrans("-_", "+/"))  # both Base64 alphabets are accepted
    try:
        raw = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"the payload is not Base64: {error}"
        raise InvalidTaskError("not_base64", message, loggable="the payload is not Base64") from error
    return _json_object(raw, tolerant=True)


def _json_object(raw: bytes, *, tolerant: bool = False) -> dict[str, Any]:
    """Return the JSON object.

    `tolerant`: accept also what Python's json module accepts: NaN, numbers of any size, lone surrogates, UTF-16.
    """
    try:
        values = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            values = json.loads(raw) if tolerant else error
        except (ValueError, RecursionError):
            values = error
        if values is error:
            message = f"the payload is not JSON: {error}"
            raise InvalidTaskError("not_json", message, loggable="the payload is not JSON") from error
    if not isinstance(values, dict):
        message = f"the payload is {shortened(values)}; allowed: a JSON object"
        raise InvalidTaskError("not_an_object", message, loggable="the payload is not a JSON object")
    return values


def _traceparent(values: dict[str, Any]) -> tuple[str, tuple[RequestWarning, ...]]:
    """Remove the key `traceparent` and return its value, "" if it isn't valid, and then a warning.

    A trace is never a reason to reject a task.
    """
    given = values.pop("traceparent", None)
    traceparent = trace_context.checked(given)
    if traceparent or given is None:
        return traceparent, ()
    message = f"traceparent is {shortened(given)}, which is not one of W3C Trace Context; it was ignored"
    return "", (RequestWarning("ignored", "traceparent", message),)


def _reply_tag(leased: LeasedTask, tag: object) -> str:
    """Return the tag for the task's result, if its payload names `tag`. Raises InvalidTaskError."""
    if leased.from_web:
        return WEB_RESULT_TAG
    if tag is None or tag == "":
        return RESULT_TAG
    if isinstance(tag, str) and len(tag) <= TAG_CHARACTERS and tag.isprintable():
        if reason := _reserved(leased.id, tag):
            raise InvalidTaskError(
                "invalid_option", f"reply_tag is {tag!r}; allowed: any other tag, because {reason}", "reply_tag"
            )
        return tag
    allowed = f"printable text of at most {TAG_CHARACTERS} characters"
    raise InvalidTaskError("invalid_option", f"reply_tag is {shortened(tag)}; allowed: {allowed}", "reply_tag")


def _reserved(task_id: str, tag: str) -> str:
    """Return why a producer's task can't choose this tag; empty if it can.

    Version 0.1.0 gave its tasks from the web the tag of producers, and named the tag of their results in the payload.
    """
    if tag in (TASK_TAG, WEB_TASK_TAG):
        return "the service leases tasks with this one"
    if tag == WEB_RESULT_TAG and not task_id.startswith(WEB_PREFIX):
        return "the service deletes results with this one"
    return ""
