"""A URL with a password → the same URL without it, for everything that is shown: logs, errors, pages.

This is the only place that decides what of a URL is shown. The user name, the password and the query are left out:
tokens are often given as a user name, and a signed link has its signature in the query.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "…"
# In text: everything between the scheme and the last @ before the host. A password may contain /, ? and @ by mistake.
_USER_INFO = re.compile(r"(?<=://)[^\s\"'<>]*@")
_QUERY = re.compile(r"(?<=\?)[^\s\"'<>#]+")


def shown_url(url: str) -> str:
    """Return the URL without user name, password and query; never raises, whatever the text is."""
    before, at, after = url.rpartition("@")
    scheme, separator, _ = before.partition("://")
    shown = (f"{scheme}://{after}" if separator else f"{HIDDEN}@{after}") if at else url
    path, mark, _ = shown.partition("?")
    return f"{path}?{HIDDEN}" if mark else shown


def hidden_parts(value: str) -> str:
    """Return the value of any setting without what could be a password: all before the last @, and after a ?."""
    before, at, after = value.rpartition("@")
    return shown_url(value) if "://" in before or not at else f"{HIDDEN}@{after.partition('?')[0]}"


def redacted(text: str) -> str:
    """Return text without the passwords and queries of the URLs in it."""
    if "://" not in text:
        return text
    urls = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")
    return urls.sub(lambda found: _QUERY.sub(HIDDEN, _USER_INFO.sub("", found[0])), text)


def split_user_info(url: str) -> tuple[str, str]:
    """Return the URL without its user name and password, and the Authorization header that they stand for, or "".

    A URL that can't be parsed is returned as it is: the client that is to use it reports that.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ""
    user_info, at, address = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    user, _, password = user_info.partition(":")
    encoded = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode(errors="surrogateescape")).decode()
    return urlunsplit(parts._replace(netloc=address)), f"Basic {encoded}"
