"""Replies that several parts of the web side give."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Response, request


def json_reply(value: dict[str, Any], status: int = 200) -> Response:
    """Return a value as indented JSON that nobody keeps."""
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Response(msgspec.json.format(msgspec.json.encode(value), indent=2), status, headers)


def wants_page() -> bool:
    """Return whether who asks prefers a page for people to JSON."""
    accepted = request.accept_mimetypes.best_match(["application/json", "text/html"], "application/json")
    return bool(accepted == "text/html")
