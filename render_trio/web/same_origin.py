"""Protection against cross-site requests: does a form come from one of our own pages?"""

from __future__ import annotations

from urllib.parse import urlsplit

from quart import request


def same_origin() -> bool:
    """Return whether the request comes from one of our pages or from a program, not from another site's page.

    Browsers state the origin of a form; programs send neither header. Sec-Fetch-Site is read first: our pages have a
    referrer policy of no-referrer, which makes browsers send "null" as the Origin.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host
