"""Whose page sent a form: ours, or another site's."""

from __future__ import annotations

from urllib.parse import urlsplit

from quart import request


def same_origin() -> bool:
    """Return whether no other site's page sent this request: browsers say where a form stood, programs say nothing.

    The newer header first: our pages tell no referrer, and so browsers give their origin as "null".
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
