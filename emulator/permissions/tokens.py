"""The token file → the holder of each bearer token.

The file is a YAML (or JSON) mapping of e-mail addresses to a token, or to a list of tokens (a new and an old one,
while clients are migrated). Two keys are not addresses: `admin` may do everything, `metrics` may read /metrics.
"""

from __future__ import annotations

import base64
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
    """The file is invalid. The message names the file and the entry, and never contains a token."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The holder of each token. Only digests of the tokens are stored."""

    holders: tuple[tuple[bytes, str], ...]

    def holder(self, token: str) -> str | None:
        """Return the holder of a token, or None. Takes the same time for every token, even an unknown one."""
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
    except yaml.YAMLError:
        # The message of PyYAML would contain the line, and thereby a token.
        raise TokenFileError(
            f"{path} is not valid YAML; allowed: one line 'EMAIL: TOKEN' per address, without duplicates"
        ) from None
    if not isinstance(content, dict) or not content:
        raise TokenFileError(f"{path} is not a mapping; allowed: one line 'EMAIL: TOKEN' per address")
    holders: dict[bytes, str] = {}
    for name, value in content.items():
        if name not in (ADMIN, METRICS) and not (isinstance(name, str) and EMAIL.fullmatch(name)):
            raise TokenFileError(f"{path}: a key is {shown(name)}; allowed: an e-mail address, {ADMIN}, {METRICS}")
        for token in value if isinstance(value, list) and value else [value]:
            if not isinstance(token, str) or not TOKEN.fullmatch(token):
                allowed = "16 to 512 letters, digits and . _ ~ + / = -, in quotes if it consists of digits only"
                raise TokenFileError(f"{path}: the token of {name} is invalid; allowed: {allowed}")
            if holders.setdefault(_digest(token), name.lower()) != name.lower():
                raise TokenFileError(
                    f"{path}: {name} has the same token as {holders[_digest(token)]}; give each its own"
                )
    return Tokens(tuple(holders.items()))


def token_of(headers: Mapping[str, str]) -> str | None:
    """Return the bearer token of a request, or the password that a browser sent by HTTP Basic; None if neither."""
    scheme, _, value = headers.get("authorization", "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except ValueError:  # not Base64, or not UTF-8
            return ""
    return None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
