"""The payload of a result → its values, checked, and the document inside it; or a BrokenResultError.

Whatever has the tag of results arrives here, and anyone who may insert tasks chooses what that is. Unknown keys are
ignored and null means missing, so that results of older and newer services are read too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

import msgspec

from render_trio.errors import BrokenResultError
from render_trio.queue.messages import DOCUMENT_KIND, LINK_KIND, DocumentResult, LinkResult, Result

MAX_PAYLOAD_CHARACTERS = 32 * 1024 * 1024  # of Base64; render-trio's own queue allows tasks of 1 MiB
KINDS = (DOCUMENT_KIND, LINK_KIND)
PDF_HEADER = b"%PDF-"
MAX_PAGES = 1_000_000
DIGEST = re.compile(r"[0-9a-f]{64}")
SHOWN = 60  # characters of an invalid value in a message


def read(payload: str) -> tuple[Result, bytes | None]:
    """Return a result and its document; None for a failure and for a document behind a link.

    Raises BrokenResultError.
    """
    values = _values(payload)
    task_id = values.get("task_id")
    known = task_id if isinstance(task_id, str) else ""
    kind = values.get("kind", LINK_KIND if "url" in values and "document" not in values else DOCUMENT_KIND)
    if kind not in KINDS:
        raise BrokenResultError(f"kind is {_shortened(kind)}; allowed: {' or '.join(KINDS)}", known)
    try:
        result: Result = (
            msgspec.convert(values, LinkResult) if kind == LINK_KIND else msgspec.convert(values, DocumentResult)
        )
    except msgspec.ValidationError as error:
        raise BrokenResultError(f"the result is incomplete or has a value of another type: {error}", known) from None
    if not result.task_id:
        raise BrokenResultError("task_id is empty; allowed: the ID of a task")
    if result.pages is not msgspec.UNSET and not 1 <= result.pages <= MAX_PAGES:
        raise BrokenResultError(f"pages is a number outside of the allowed range, 1 to {MAX_PAGES}", known)
    _check_request(result.request, known)
    if not isinstance(result, LinkResult):
        return result, _inline(result)
    if not result.success:
        raise BrokenResultError("success is false, but the result has a link; allowed: one of both", known)
    if not DIGEST.fullmatch(result.sha256):
        message = f"sha256 is {_shortened(result.sha256)}; allowed: 64 hexadecimal digits in lower case"
        raise BrokenResultError(message, known)
    return result, None


def _check_request(request: dict[str, Any] | msgspec.UnsetType, task_id: str) -> None:
    """Raise BrokenResultError unless the request can be recorded, to be submitted again."""
    if request is msgspec.UNSET:
        return
    try:
        msgspec.json.format(msgspec.json.encode(request))
    except (OverflowError, ValueError, RecursionError) as error:
        raise BrokenResultError(f"request can't be submitted again: {error}", task_id) from None


def _inline(result: DocumentResult) -> bytes | None:
    if not result.success:
        return None
    if result.document is None:
        raise BrokenResultError("success is true, but document is missing", result.task_id)
    try:
        document = decoded(result.document)
    except ValueError as error:
        raise BrokenResultError(f"document is not Base64: {error}", result.task_id) from None
    check_document(document, result.sha256, result.task_id)
    return document


def check_document(document: bytes, sha256: str | msgspec.UnsetType, task_id: str) -> None:
    """Raise BrokenResultError unless the bytes are a PDF with this digest; a result of an old service has no digest."""
    actual = hashlib.sha256(document).hexdigest()
    if sha256 is not msgspec.UNSET and sha256 != actual:
        message = f"the document's SHA-256 is {actual}, but the result has {_shortened(sha256)}"
        raise BrokenResultError(message, task_id)
    if not document.startswith(PDF_HEADER):
        raise BrokenResultError(f"the document is not a PDF: it begins with {document[:16]!r}", task_id)


def decoded(text: str) -> bytes:
    """Return the bytes of Base64, plain or URL-safe, with or without padding. Raises ValueError."""
    unpadded = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _values(payload: str) -> dict[str, Any]:
    if len(payload) > MAX_PAYLOAD_CHARACTERS:
        raise BrokenResultError(f"the payload has {len(payload)} characters; allowed: {MAX_PAYLOAD_CHARACTERS}")
    try:
        values = msgspec.json.decode(decoded(payload))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenResultError(f"the payload is not JSON: {error}") from None
    except ValueError as error:
        raise BrokenResultError(f"the payload is not Base64: {error}") from None
    if not isinstance(values, dict):
        raise BrokenResultError(f"the payload is {_shortened(values)}; allowed: a JSON object")
    return {key: value for key, value in values.items() if value is not None}


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
