"""Protection against cross-site requests: forms and scripts of other sites' pages change nothing and start no work.

Browsers send Sec-Fetch-Site to https and loopback addresses only. Over plain HTTP on a LAN they send Origin, provided
that the page's referrer policy permits it: with no-referrer it would be "null", as from a sandboxed frame.
"""

from __future__ import annotations

from render_trio.web.server import authority
from render_trio.web.server.admission import Refusal
from render_trio.web.server.request_limits import Message

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
VALUE_SHOWN = 80
Origin = tuple[str, str, int | None]


def check(scope: Message) -> Refusal | None:
    """Return a refusal for a request with side effects that comes from another site's page, not from a program.

    Programs send none of the headers. The scheme, host and port are those that the visitor's browser used, which
    behind a reverse proxy are known only if it is in TRUSTED_PROXIES.
    """
    if scope["method"] in SAFE_METHODS:
        return None
    sites = _values(scope, b"sec-fetch-site")
    if sites:
        if all(site in ("same-origin", "none") for site in sites):
            return None
        return _refusal(f"Sec-Fetch-Site is {sites[0][:VALUE_SHOWN]!r}")
    sources = _values(scope, b"origin") or _values(scope, b"referer")
    hosts = _values(scope, b"host")
    own = _origin(f"{scope['scheme']}://{hosts[0]}") if len(hosts) == 1 else None
    for source in sources:
        if own is None or _origin(source) != own:
            return _refusal(f"the origin {source[:VALUE_SHOWN]!r} is not {scope['scheme']}://{''.join(hosts[:1])}")
    return None


def _refusal(reason: str) -> Refusal:
    advice = "behind a reverse proxy, set TRUSTED_PROXIES"
    return Refusal(403, "other_origin", f"the request was sent from another site's page: {reason} ({advice})")


def _values(scope: Message, wanted: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for name, value in scope["headers"] if name == wanted]


def _origin(url: str) -> Origin | None:
    """Return the origin of a URL (RFC 6454); None for "null" and everything else that isn't one."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    parsed = authority.parse(rest.partition("/")[0]) if separator else None
    if parsed is None or scheme not in authority.DEFAULT_PORTS:
        return None
    port = authority.DEFAULT_PORTS[scheme] if parsed.port is None else parsed.port
    return scheme, parsed.host, port
