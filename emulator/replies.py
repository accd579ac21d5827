"""JSON replies."""

from __future__ import annotations

from typing import Any

import msgspec
from quart import Response

_encoder = msgspec.json.Encoder()


def json_reply(body: dict[str, Any], status: int = 200) -> Response:
    """Return a JSON reply, indented as Google's were (prettyPrint is on by default there)."""
    return Response(
        msgspec.json.format(_encoder.encode(body), indent=1),
        status,
        {"Content-Type": "application/json; charset=UTF-8", "Cache-Control": "no-store"},
    )


def nothing() -> Response:
    """Return an empty reply, 204."""
    return Response(b"", 204)
