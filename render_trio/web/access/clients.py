"""The address of a client → the name under which its quotas are counted."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

NETWORK_BITS = (
    64  # of an IPv6 address: a provider assigns every customer at least a /64 (RFC 6177), so one counts as one
)
UNKNOWN = "unknown"
PROGRAM = "render_trio.program"  # key of an ASGI scope: true if the request has the valid token of a program


def client_name(address: str | None) -> str:
    """Return the name of the client with this IP address.

    All addresses of an IPv6 /64 are one client, because a single machine can use each of them. An IPv4 address that is
    mapped to IPv6 is the same client as the address itself. Without an address, or with an invalid one, it is UNKNOWN.
    """
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, NETWORK_BITS), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)


def name_of(scope: Mapping[str, Any]) -> str:
    """Return the name of the client that sent the request with this ASGI scope."""
    return client_name((scope.get("client") or ("",))[0])


def visitor_name(scope: Mapping[str, Any]) -> str | None:
    """Return the name under which the request's quotas are counted; None for a program, which has none of its own."""
    return None if scope.get(PROGRAM) else name_of(scope)
