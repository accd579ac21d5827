"""The host names that the server answers for: protection against DNS rebinding.

A page of another site can't read our responses, unless its own name resolves to our address: then both have one
origin for the browser. Such requests have that name in their Host header. An IP address there can't be rebound.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path

import structlog

from render_trio.web.server import authority
from render_trio.web.server.admission import Refusal
from render_trio.web.server.request_limits import Message

PROBES = frozenset({"/livez", "/readyz", "/health", "/_ah/health"})  # orchestrators use names of their own
VALUE_SHOWN = 80
REPORTED_NAMES = 20  # names that are logged, each once
HOSTS_FILE = Path("/etc/hosts")
log = structlog.get_logger(__name__)


def own_names() -> frozenset[str]:
    """Return the names of this machine, from its host name and the hosts file; no resolver is called."""
    name = socket.gethostname().lower().removesuffix(".")
    if not name:
        return frozenset()
    names = {name, name.partition(".")[0]}
    try:
        lines = HOSTS_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        listed = [part.lower().removesuffix(".") for part in line.partition("#")[0].split()[1:]]
        if names.intersection(listed):
            names.update(listed)
    return frozenset(names | {f"{name.partition('.')[0]}.local"})  # the name in multicast DNS (RFC 6762)


class Hosts:
    """The allowed names: localhost, this machine's, and the given ones; ".example.org" allows its subdomains too."""

    def __init__(self, allowed: Iterable[str] = (), own: frozenset[str] | None = None) -> None:
        """`own`: the names of this machine, by default `own_names()`."""
        self._names = {name for name in allowed if not name.startswith(".")} | (own_names() if own is None else own)
        self._parents = (*(name for name in allowed if name.startswith(".")), ".localhost")
        self._reported: set[str] = set()

    def allows(self, host: str) -> bool:
        """Return whether the server answers for the text of a Host header."""
        parsed = authority.parse(host)
        if parsed is None:
            return False
        name = parsed.host
        return (
            authority.is_address(name)
            or name in self._names
            or any(f".{name}".endswith(parent) for parent in self._parents)
        )

    def check(self, scope: Message) -> Refusal | None:
        """Return a refusal unless every Host header is allowed. Without one (HTTP/1.0) no browser sent the request."""
        if scope["path"] in PROBES:
            return None
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(given) > 1:
            return Refusal(400, "invalid_host", f"the request has {len(given)} Host headers; allowed: one")
        if all(self.allows(host) for host in given):
            return None
        shown = given[0][:VALUE_SHOWN]
        if shown not in self._reported and len(self._reported) < REPORTED_NAMES:
            self._reported.add(shown)
            log.warning("host refused", host=shown, setting="ALLOWED_HOSTS")
        detail = f"this server does not answer for the host {shown!r}; add its name to ALLOWED_HOSTS"
        return Refusal(421, "unknown_host", detail)
