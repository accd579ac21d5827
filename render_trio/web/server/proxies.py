"""Requests through trusted reverse proxies → requests as the visitor made them: address, scheme, host and root path.

Headers are believed only if the peer is in TRUSTED_PROXIES. They can still contain what a visitor has sent, because
proxies append to them: every value is checked, and only the part that a trusted proxy wrote is used. With any of the
X-Forwarded headers, Forwarded (RFC 7239) is ignored, because most proxies pass it on unseen.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import unquote

import structlog

from render_trio.web.server import authority
from render_trio.web.server.request_limits import Asgi, Message, Receive, Send, Step

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_HOPS = 50  # addresses of a header that are read, from its end
VALUE_SHOWN = 40
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+){1,20}")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)
_PAIR = re.compile(r"""\s*([A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^;,"\s]*)\s*(;|,|$)""")
FORWARDED_NAMES = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
log = structlog.get_logger(__name__)


def clean_prefix(text: str) -> str | None:
    """Return a root path without its final slash ("" for "/"), or None if it isn't a plain absolute path."""
    text = text.strip()
    if text in ("", "/"):
        return ""
    text = text.removesuffix("/")
    return text if _PREFIX.fullmatch(text) else None


class Proxies:
    """What this server is behind. `root_path` wins over X-Forwarded-Prefix."""

    def __init__(self, trusted: tuple[Network, ...] = (), root_path: str = "") -> None:
        self._trusted = trusted
        self._root_path = root_path
        self._reported: set[str] = set()

    def step(self) -> Step:
        """Return the step that corrects each request."""

        def wrap(app: Asgi) -> Asgi:
            async def serve(scope: Message, receive: Receive, send: Send) -> None:
                await app(self.corrected(scope) if scope["type"] == "http" else scope, receive, send)

            return serve

        return wrap

    def corrected(self, scope: Message) -> Message:
        """Return the scope as the visitor's request. Its `path` is what remains after `root_path`."""
        scope = _in_origin_form(dict(scope))
        # The router ignores how many slashes a path begins with. Checks must see the path that it sees.
        scope["path"] = "/" + scope["path"].lstrip("/")
        root = self._root_path
        if self._trusts(_peer(scope)):
            self._believe(scope)
            root = root or self._prefix(scope)
        scope["root_path"] = root
        if root and (scope["path"] == root or scope["path"].startswith(f"{root}/")):  # a proxy that doesn't strip it
            scope["path"] = "/" + scope["path"].removeprefix(root).lstrip("/")
        return scope

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(
            address in network for network in self._trusted if network.version == address.version
        )

    def _believe(self, scope: Message) -> None:
        if any(name in FORWARDED_NAMES for name, _ in scope["headers"]):
            hops = [{"for": text} for text in _listed(scope, b"x-forwarded-for")]
            proto, host = (
                next(reversed(_listed(scope, name)), "") for name in (b"x-forwarded-proto", b"x-forwarded-host")
            )
            self._set_client(scope, hops)
        else:
            forwarded = ",".join(_listed(scope, b"forwarded"))
            elements = list(_elements(forwarded))
            if not elements:
                if forwarded:
                    self._ignore("Forwarded", forwarded)
                return
            hop = self._set_client(scope, elements)
            proto, host = hop.get("proto", ""), hop.get("host", "")
        if proto.lower() in ("http", "https"):
            scope["scheme"] = proto.lower()
        elif proto:
            self._ignore("X-Forwarded-Proto", proto)
        if host and authority.parse(host) is not None:
            _set_host(scope, host.encode())
        elif host:
            self._ignore("X-Forwarded-Host", host)

    def _set_client(self, scope: Message, hops: list[dict[str, str]]) -> dict[str, str]:
        """Set the client to the last address that isn't a trusted proxy's. Return the hop that contains it.

        An address further to the left was sent by that client and may be invented.
        """
        chosen = hops[-1] if hops else {}
        for hop in hops[: -MAX_HOPS - 1 : -1]:
            address = _address(hop.get("for", ""))
            if address is None:
                if hop.get("for"):
                    self._ignore("X-Forwarded-For", hop["for"])
                break
            chosen = hop
            scope["client"] = (str(address), 0)
            if not self._trusts(address):
                break
        return chosen

    def _prefix(self, scope: Message) -> str:
        given = _listed(scope, b"x-forwarded-prefix")
        if not given:
            return ""
        prefix = clean_prefix(given[0]) if len(given) == 1 else None
        if prefix is None:
            self._ignore("X-Forwarded-Prefix", ", ".join(given))
        return prefix or ""

    def _ignore(self, header: str, value: str) -> None:
        """Log an invalid value, once for each header: clients could fill the log with them."""
        if header not in self._reported:
            self._reported.add(header)
            log.warning("forwarded header ignored", header=header, value=value[:VALUE_SHOWN])


def _peer(scope: Message) -> Address | None:
    client = scope.get("client")
    return _address(client[0]) if client else None


def _address(text: str) -> Address | None:
    """Return the IP address in text such as 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80."""
    text = text.strip()
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.%a-z]+)\](?::[0-9_.A-Za-z-]+)?", text)
    if bracketed:
        text = bracketed[1]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _listed(scope: Message, wanted: bytes) -> list[str]:
    """Return the values of a header that is a list, from all its lines."""
    lines = (value.decode("latin-1") for name, value in scope["headers"] if name == wanted)
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _elements(text: str) -> Iterator[dict[str, str]]:
    """Yield the elements of a Forwarded header, or nothing from where it breaks its syntax."""
    element: dict[str, str] = {}
    position = 0
    while match := _PAIR.match(text, position):
        value = match[2]
        element[match[1].lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        position = match.end()
        if match[3] != ";":
            yield element
            element = {}
        if position >= len(text):
            return


def _in_origin_form(scope: Message) -> Message:
    """Replace a target in absolute form by its path, and Host by its host, which wins (RFC 9112, section 3.2.2)."""
    absolute = _ABSOLUTE.fullmatch(scope.get("raw_path") or b"")
    if absolute:
        scope["path"] = unquote(absolute[2].decode("latin-1")) or "/"
        _set_host(scope, absolute[1])
    return scope


def _set_host(scope: Message, host: bytes) -> None:
    scope["headers"] = [(b"host", host), *((name, value) for name, value in scope["headers"] if name != b"host")]
