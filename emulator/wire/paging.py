"""Page tokens: an opaque encoding of the last item of a page (ETA and name)."""

from __future__ import annotations

import base64
import binascii
import re

from emulator.wire.errors import invalid
from emulator.wire.parameters import TASK_NAME

_TOKEN = re.compile(r"(\d{1,18})/(.{1,500})", re.ASCII)


def page_token(eta_us: int, name: str) -> str:
    """Return the token of the page that follows this item."""
    return base64.urlsafe_b64encode(f"{eta_us}/{name}".encode()).decode().rstrip("=")


def page_start(token: str | None) -> tuple[int, str] | None:
    """Return the item (ETA, name) that precedes the page, None for the first page. Raises ApiError."""
    if not token:
        return None
    try:
        match = _TOKEN.fullmatch(
            base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode("ascii")
        )
    except (binascii.Error, UnicodeDecodeError, ValueError):
        match = None
    if match is None or not TASK_NAME.fullmatch(match[2]):
        raise invalid("pageToken", token, "the nextPageToken of the previous page, or none")
    return int(match[1]), match[2]
