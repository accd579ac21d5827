"""The address of a client → the name under which its connections, waits and failed attempts are counted."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

NETWORK_BITS = 64  # of an IPv6 address: a provider assigns every customer at least a /64 (RFC 6177)
UNKNOWN = "unknown"
REMEMBERED_CLIENTS = 4096

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parsed_address(text: str) -> Address | None:
    """Return an IP address, that of an IPv4 address mapped to IPv6 as IPv4; None if it isn't an address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=REMEMBERED_CLIENTS)
def client_name(address: str) -> str:
    """Return the name of the client with this IP address: the address, or for IPv6 its /64 network.

    A single machine can use every address of its /64. Without a valid address, the name is UNKNOWN.
    """
    parsed = parsed_address(address)
    if parsed is None:
        return UNKNOWN
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, NETWORK_BITS), strict=False))
    return str(parsed)
