"""The host name of a request → whether the service answers under it.

A page of another site can make its own name resolve to the address of this service (DNS rebinding). For the browser,
the service is then part of that site, whose scripts can send any request and read the replies. Such a request has the
other site's name in `Host`. An IP address can't be rebound, so it is always answered.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from emulator.wire.calls import Call
from emulator.wire.errors import ApiError, shown

REMEMBERED_HOSTS = 1024  # decisions, so that a request costs one look-up; names that clients invent replace older ones
HOSTS_FILE = Path("/etc/hosts")
_NAME = re.compile(r"(\*?\.)?[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_-]{1,63})*", re.ASCII)
ALLOWED = "host names such as queue.example.org, or .example.org for a domain and all its subdomains"


class Hosts:
    """The names under which the service answers: IP addresses, `localhost`, this machine's names, and `names`.

    Raises ValueError if one of `names` is not a host name. A port in it is ignored.
    """

    def __init__(self, names: Iterable[str] = (), machine: Iterable[str] | None = None) -> None:
        exact, domains = {"localhost", *(own_names() if machine is None else machine)}, set()
        for name in names:
            plain = host_of(name.strip())
            if "/" in name or not (_NAME.fullmatch(plain) or _is_address(plain)):
                raise ValueError(f"--allowed-hosts contains {shown(name)}; allowed: {ALLOWED}")
            if plain.startswith((".", "*.")):
                domains.add(plain.removeprefix("*"))
            else:
                exact.add(plain)
        self._exact = frozenset(exact)
        self._domains = tuple(sorted(domains))
        self.allowed: Callable[[str], bool] = lru_cache(maxsize=REMEMBERED_HOSTS)(self._allowed)

    def _allowed(self, header: str) -> bool:
        """Return whether the service answers a request with this `Host`."""
        host = host_of(header)
        return (
            host in self._exact
            or _is_address(host)
            or any(host.endswith(domain) or host == domain[1:] for domain in self._domains)
        )

    def check(self, call: Call) -> None:
        """Raise ApiError (421) if the call has a host name under which the service doesn't answer.

        A request without `Host` is answered: HTTP/1.0 permits it, some load balancers probe that way, and browsers
        always send the name.
        """
        header = call.headers.get("host", "")
        if header and not self.allowed(header):
            raise ApiError(
                421,
                f"Host is {shown(host_of(header))}, a name under which this queue doesn't answer; use its IP address, "
                "or add the name to --allowed-hosts (EMULATOR_ALLOWED_HOSTS)",
                "",
                "Host",
                "header",
            )


def host_of(header: str) -> str:
    """Return the host in a `Host` header: in lower case, without its port and the dot at its end."""
    if header.startswith("["):
        return header[: header.find("]") + 1].lower()
    host = header if header.count(":") > 1 else header.partition(":")[0]  # an IPv6 address without brackets
    return host.lower().removesuffix(".")


def own_names(hosts_file: Path = HOSTS_FILE) -> frozenset[str]:
    """Return the names of this machine: its host name, and the aliases of it in /etc/hosts.

    `socket.getfqdn` isn't used, because it can wait for a name server. In a container, the full name is in /etc/hosts.
    """
    own = socket.gethostname().lower().removesuffix(".")
    names = {own, own.partition(".")[0]}
    try:
        lines = hosts_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        aliases = {alias.lower().removesuffix(".") for alias in line.partition("#")[0].split()[1:]}
        if aliases & names:
            names |= aliases
    return frozenset(name for name in names if name)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return False
    return True
