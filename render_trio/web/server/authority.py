"""The text of a Host header → the name or IP address in it, and the port."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

MAX_CHARACTERS = 255
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
DEFAULT_PORTS = {"http": 80, "https": 443}


class Authority(NamedTuple):
    """`host`: a name in lower case without a final dot, or an IP address without brackets. `port`: None if absent."""

    host: str
    port: int | None


def parse(text: str) -> Authority | None:
    """Return the authority, or None if it is not one: with user information, a path, or characters outside ASCII."""
    text = text.strip(" \t")
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")) or not is_address(host) or ":" not in host:
            return None
        port = rest[1:]
    elif ":" in text:
        host, _, port = text.rpartition(":")
    host = host.lower()
    if len(host) > MAX_CHARACTERS or not re.fullmatch("[0-9]{0,5}", port) or (port and int(port) > 65_535):
        return None
    if not text.startswith("[") and not _NAME.fullmatch(host):
        return None
    return Authority(host.removesuffix("."), int(port) if port else None)


def is_address(host: str) -> bool:
    """Return whether the host is an IP address. Short forms such as 127.1 are not: browsers never send them."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
