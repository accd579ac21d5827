"""Replies that several parts of the web side give: JSON, pages, and what is kept ready with its ETag."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
from quart import Response, request

FOR_EVER = "public, max-age=31536000, immutable"
REVALIDATED = "no-cache"  # may be kept, but is asked for again with its ETag
NOT_KEPT = "no-store"
GZIP_BYTES = 600  # below this, compressing saves nothing: it all fits into one packet
GZIP_LEVEL = 6
COMPRESSED_TYPES = ("text/", "image/svg", "application/json")


@dataclass(frozen=True, slots=True)
class Packed:
    """A body that is ready to be sent, as it is and compressed; `etag` names its content."""

    content: bytes
    content_type: str
    etag: str
    gzipped: bytes | None


def packed(content: bytes, content_type: str, etag: str | None = None) -> Packed:
    """Return the body, compressed as well if that pays."""
    pays = len(content) > GZIP_BYTES and content_type.startswith(COMPRESSED_TYPES)
    return Packed(
        content,
        content_type,
        etag or hashlib.sha256(content).hexdigest()[:24],
        gzip.compress(content, GZIP_LEVEL, mtime=0) if pays else None,
    )


def packed_reply(body: Packed, cache: str) -> Response:
    """Return the body, or 304 for who has it already."""
    headers = {"Cache-Control": cache, "ETag": f'"{body.etag}"'}
    if body.gzipped is not None:
        headers["Vary"] = "Accept-Encoding"
    if request.if_none_match.contains_weak(body.etag):
        return bodiless(headers, body.content_type, 304)
    content = body.content
    if body.gzipped is not None and request.accept_encodings.quality("gzip") > 0:
        headers["Content-Encoding"] = "gzip"
        headers["ETag"] = f'W/"{body.etag}"'
        content = body.gzipped
    return Response(content, 200, headers, content_type=body.content_type)


def bodiless(headers: dict[str, str], content_type: str, status: int = 200) -> Response:
    """Return a reply without a body, and without the length of one: HEAD of what is not made yet, or 304."""
    reply = Response(b"", status, headers, content_type=content_type)
    reply.headers.pop("Content-Length", None)
    return reply


def page_reply(html: str, status: int = 200, cache: str = REVALIDATED) -> Response:
    """Return a page; one that is well carries an ETag."""
    if status == 200:
        return packed_reply(packed(html.encode(), "text/html; charset=utf-8"), cache)
    return Response(html, status, {"Cache-Control": NOT_KEPT}, content_type="text/html; charset=utf-8")


def json_reply(value: dict[str, Any], status: int = 200) -> Response:
    """Return a value as indented JSON that nobody keeps."""
    headers = {"Content-Type": "application/json", "Cache-Control": NOT_KEPT}
    return Response(msgspec.json.format(msgspec.json.encode(value), indent=2), status, headers)


def wants_page() -> bool:
    """Return whether who asks prefers a page for people to JSON."""
    accepted = request.accept_mimetypes.best_match(["application/json", "text/html"], "application/json")
    return bool(accepted == "text/html")
