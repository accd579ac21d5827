"""Text that can contain the password of a store → the same text without it.

The URL of a store can contain a password. A message that quotes the URL shows it without the password; a message of a
library, which can quote parts of a malformed URL, is searched for it.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import parse_qsl, unquote

MASK = "***"
MIN_CHARACTERS = 3  # of a secret; replacing shorter ones would garble every text
_SEPARATORS = re.compile(r"[/?#@:\[\]]")
_HOSTS = re.compile(r"[\w.-]*(:[0-9]{0,5})?(,[\w.-]+(:[0-9]{0,5})?)*|\[[0-9a-fA-F:.]+\](:[0-9]{0,5})?")

_known: set[str] = set()


def shown_url(url: str) -> str:
    """Return the URL for a message: with its scheme, hosts and path, without its user, its password and its query."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return repr(url[:80] if "@" not in url else f"{MASK}@{url.rpartition('@')[2]}"[:80])
    credentials, at, address = rest.rpartition("@")
    address = re.split(r"[?#]", address, maxsplit=1)[0]
    if scheme != "unix" and scheme != "sqlite" and not _HOSTS.fullmatch(address.partition("/")[0]):
        address = "…"  # a password, perhaps, after which the @ is missing
    return repr(f"{scheme}://{MASK + at if credentials else at}{address}"[:80])


def secrets_of(url: str) -> set[str]:
    """Return the texts in a URL that no message may contain."""
    rest = url.rpartition("://")[2]
    credentials = rest.rpartition("@")[0]
    user, colon, password = credentials.partition(":")
    secret = password if colon else user
    found = {secret, *_SEPARATORS.split(secret)}  # of a malformed URL, a library quotes what it takes for the port
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" not in rest and not _HOSTS.fullmatch(host):  # a password, perhaps, after which the @ is missing
        found |= {host, *_SEPARATORS.split(host)}
    found |= {value for name, value in parse_qsl(rest.partition("?")[2]) if "password" in name}
    found |= {unquote(text) for text in found}
    return {text for text in found if len(text) >= MIN_CHARACTERS}


def keep_secret(url: str) -> None:
    """Remove the password of this URL from all texts from now on."""
    _known.update(secrets_of(url))


def redacted(text: str) -> str:
    """Return a text without the secrets that are known."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats log records without secrets, also in their tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return redacted(super().format(record))
