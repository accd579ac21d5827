"""HTTP responses shared by the route modules: JSON, pages, redirects, and encoded bodies with an ETag."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec
from quart import Response, request

from resources.registry import CATALOGUE
from resources.request import Request

# Values of Cache-Control.
FOR_EVER = "public, max-age=31536000, immutable"
REVALIDATED = "no-cache"  # may be stored, but must be revalidated by its ETag
NOT_KEPT = "no-store"

GZIP_BYTES = 600  # below this, compression saves nothing: the response fits into one packet anyway
GZIP_LEVEL = 6
COMPRESSED_TYPES = ("text/", "image/svg", "application/json")


@dataclass(frozen=True, slots=True)
class EncodedBody:
    """A body ready to send: plain, and compressed where that pays. `etag` identifies the content."""

    content: bytes
    content_type: str
    etag: str
    gzipped: bytes | None


def encode_body(content: bytes, content_type: str, etag: str | None = None) -> EncodedBody:
    """Return the body, with a compressed form if it is a text larger than GZIP_BYTES.

    Without `etag` the content's SHA-256 is used.
    """
    pays = len(content) > GZIP_BYTES and content_type.startswith(COMPRESSED_TYPES)
    return EncodedBody(
        content,
        content_type,
        etag or hashlib.sha256(content).hexdigest()[:24],
        gzip.compress(content, GZIP_LEVEL, mtime=0) if pays else None,
    )


def encoded_response(body: EncodedBody, cache: str) -> Response:
    """Return the body, or 304 if the client already has it."""
    headers = {"Cache-Control": cache, "ETag": f'"{body.etag}"'}
    if body.gzipped is not None:
        headers["Vary"] = "Accept-Encoding"
    if request.if_none_match.contains_weak(body.etag):
        return empty_response(headers, body.content_type, 304)
    content = body.content
    if body.gzipped is not None and request.accept_encodings.quality("gzip") > 0:
        headers["Content-Encoding"] = "gzip"
        headers["ETag"] = f'W/"{body.etag}"'
        content = body.gzipped
    return Response(content, 200, headers, content_type=body.content_type)


def empty_response(headers: dict[str, str], content_type: str, status: int = 200) -> Response:
    """Return a response with neither body nor Content-Length: for 304, and for HEAD of a document not yet rendered."""
    response = Response(b"", status, headers, content_type=content_type)
    response.headers.pop("Content-Length", None)
    return response


def cache_of(shown: Request, cache: str) -> str:
    """Return the value of Cache-Control for a response that shows texts from a request: `cache`, if there are none.

    A text may be the name of a pupil. No browser, which others may use, and no proxy may store it.
    """
    own_name = shown.name != CATALOGUE[shown.view].name
    return NOT_KEPT if own_name or shown.header_text or shown.url or shown.filename else cache


def page_response(html: str, status: int = 200, cache: str = REVALIDATED) -> Response:
    """Return a page. With status 200 it carries an ETag; any other status is not stored."""
    if status == 200:
        return encoded_response(encode_body(html.encode(), "text/html; charset=utf-8"), cache)
    return Response(html, status, {"Cache-Control": NOT_KEPT}, content_type="text/html; charset=utf-8")


def json_response(value: dict[str, Any], status: int = 200) -> Response:
    """Return the value as indented JSON that must not be stored."""
    headers = {"Content-Type": "application/json", "Cache-Control": NOT_KEPT}
    return Response(msgspec.json.format(msgspec.json.encode(value), indent=2), status, headers)


def see_other(address: str) -> Response:
    """Return a redirect (303) that must not be stored."""
    return Response(b"", 303, {"Location": address, "Cache-Control": NOT_KEPT})


def disposition(filename: str, *, attached: bool) -> str:
    """Return a Content-Disposition (RFC 6266): the name in ASCII, and in UTF-8 for clients that support it (RFC 8187).

    In the ASCII form, every character except letters, digits, spaces and - . _ ( ) is replaced.
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " -._()") else "_" for c in filename)
    kind = "attachment" if attached else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


def wants_page() -> bool:
    """Return whether the client prefers HTML to JSON, as browsers do."""
    accepted = request.accept_mimetypes.best_match(["application/json", "text/html"], "application/json")
    return bool(accepted == "text/html")
