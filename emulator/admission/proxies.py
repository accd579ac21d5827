"""A request from a trusted reverse proxy → the request that the proxy received.

Any client can send `X-Forwarded-…` headers. They are used only if the connection comes from a proxy in
`--trusted-proxies`; of a list, only what that proxy (or a trusted one before it) has added.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from emulator.permissions.clients import parsed_address
from emulator.wire.bodies import Message
from emulator.wire.errors import shown

REMEMBERED_ADDRESSES = 1024
OWN_PATHS = ("api", "batch", "discovery", "queues", "static", "taskqueue", "try", "v2beta2")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+", re.ASCII)
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,270}")


class Proxies:
    """The trusted proxies (addresses and networks in CIDR notation), and the path under which the service is reached.

    Raises ValueError for an invalid network or path.
    """

    def __init__(self, networks: Iterable[str] = (), root_path: str = "") -> None:
        try:
            self._networks = tuple(ipaddress.ip_network(network.strip()) for network in networks)
        except ValueError as error:
            allowed = "addresses and networks such as 10.0.0.5,192.168.0.0/16,::1"
            raise ValueError(f"--trusted-proxies: {error}; allowed: {allowed}") from None
        self.root_path = root_path.rstrip("/")
        if (self.root_path and not _PREFIX.fullmatch(self.root_path)) or root_path.strip("/") in OWN_PATHS:
            allowed = f"a path such as /queue, but none of the service's own: {', '.join(OWN_PATHS)}"
            raise ValueError(f"--root-path is {shown(root_path)}; allowed: {allowed}")
        self.is_trusted = lru_cache(maxsize=REMEMBERED_ADDRESSES)(self._is_trusted)

    def _is_trusted(self, address: str) -> bool:
        """Return whether this address is that of a trusted proxy."""
        parsed = parsed_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def forwarded(self, scope: Message) -> Message:
        """Return the ASGI scope with the client, scheme, host and root path that a trusted proxy reports.

        The root path is removed from the start of the path; a proxy may have removed it already.
        """
        if not self._networks and not self.root_path:
            return scope
        root_path = self.root_path
        scope = dict(scope)
        peer = (scope.get("client") or ("", 0))[0]
        if self.is_trusted(peer):
            headers = _forwarding_headers(scope)
            scope["client"] = self._client(peer, headers.get(b"x-forwarded-for", [])), 0
            scheme = _last(headers, b"x-forwarded-proto").lower()
            if scheme in (b"http", b"https"):
                scope["scheme"] = scheme.decode("ascii")
            host = _last(headers, b"x-forwarded-host")
            if _HOST.fullmatch(host):
                others = [header for header in scope["headers"] if header[0].lower() != b"host"]
                scope["headers"] = [(b"host", host), *others]
            prefix = _last(headers, b"x-forwarded-prefix").decode("latin-1").rstrip("/")
            if _PREFIX.fullmatch(prefix):
                root_path = prefix
        raw = root_path.encode("ascii")
        if raw and (scope["raw_path"] == raw or scope["raw_path"].startswith(raw + b"/")):
            scope["raw_path"] = scope["raw_path"][len(raw) :] or b"/"
            scope["path"] = scope["path"][len(root_path) :] or "/"
        scope["root_path"] = root_path
        return scope

    def _client(self, peer: str, chain: list[bytes]) -> str:
        """Return the last address in X-Forwarded-For that isn't a trusted proxy's: it alone can't be forged."""
        client = peer
        for entry in reversed(chain):
            address = _without_port(entry.decode("latin-1"))
            if parsed_address(address) is None:
                break
            client = address
            if not self.is_trusted(address):
                break
        return client


def _forwarding_headers(scope: Message) -> dict[bytes, list[bytes]]:
    """Return the entries of each X-Forwarded header, in order; a header may be repeated."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        if name.lower().startswith(b"x-forwarded-"):
            found.setdefault(name.lower(), []).extend(entry.strip() for entry in value.split(b","))
    return found


def _last(headers: dict[bytes, list[bytes]], name: bytes) -> bytes:
    return headers.get(name, [b""])[-1]


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
