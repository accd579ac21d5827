"""The token file → who a bearer token belongs to.

A YAML (or JSON) mapping of e-mail addresses to tokens, a token being text or a list of them (the new one and
the old one, while clients change over). Two names are no addresses: `admin` may do everything, `metrics` may
read /metrics.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from emulator.permissions.queue_file import EMAIL
from emulator.permissions.yaml_files import read_yaml
from emulator.wire.errors import shown

ADMIN, METRICS = "admin", "metrics"
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}", re.ASCII)


class TokenFileError(ValueError):
    """The file can't be used; the message names the file and the entry, never a token."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Who holds which token; only the tokens' digests are kept."""

    holders: tuple[tuple[bytes, str], ...]

    def holder(self, token: str) -> str | None:
        """Return whose token this is. Takes as long whichever it is, and if it is none."""
        digest = _digest(token)
        found = None
        for known, name in self.holders:
            if hmac.compare_digest(known, digest):
                found = name
        return found


def read_token_file(path: Path) -> Tokens:
    """Return the tokens of a file. Raises TokenFileError, OSError."""
    try:
        content = read_yaml(path)
    except (yaml.YAMLError, UnicodeDecodeError):
        # PyYAML's message would show the line, and with it a token.
        raise TokenFileError(f"{path} is no good YAML; allowed: a line 'EMAIL: TOKEN' for each, none twice") from None
    if not isinstance(content, dict) or not content:
        raise TokenFileError(f"{path} holds no mapping; allowed: a line 'EMAIL: TOKEN' for each")
    holders: dict[bytes, str] = {}
    for name, given in content.items():
        if name not in (ADMIN, METRICS) and not (isinstance(name, str) and EMAIL.fullmatch(name)):
            raise TokenFileError(f"{path}: a name is {shown(name)}; allowed: an e-mail address, {ADMIN}, {METRICS}")
        for token in given if isinstance(given, list) and given else [given]:
            if not isinstance(token, str) or not TOKEN.fullmatch(token):
                allowed = "16 to 512 letters, digits and . _ ~ + / = -, in quotes if they are digits alone"
                raise TokenFileError(f"{path}: the token of {name} can't be used; allowed: {allowed}")
            if holders.setdefault(_digest(token), name.lower()) != name.lower():
                raise TokenFileError(f"{path}: {name} has the token of {holders[_digest(token)]}; give each its own")
    return Tokens(tuple(holders.items()))


def token_of(headers: Mapping[str, str]) -> str | None:
    """Return the token of a request: a bearer token, or the password that a browser asked for. None: there is none."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    return None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
