"""A token from a setting or a file → the Authorization header of each request.

A file is read again when it changes: when it is written, replaced (`os.replace`), or reached by a symbolic link that
now leads elsewhere, which is how Kubernetes updates a mounted secret. So a token can be rotated without a restart.
"""

from __future__ import annotations

import logging
import re
import stat
from pathlib import Path
from typing import Protocol

from render_trio.errors import CredentialsError

TOKEN = re.compile(r"[!-~]{1,4096}")
ALLOWED = "one token of at most 4096 printable ASCII characters without spaces"
MAX_BYTES = 64 * 1024  # a larger file is certainly not a token
logger = logging.getLogger("render_trio")

Version = tuple[int, int, int, int]


class Authorization(Protocol):
    """What authorises the requests of a client."""

    def header(self) -> str:
        """Return the value of the header Authorization; "" for none. Raises CredentialsError."""
        ...

    def changed(self) -> bool:
        """Look again at where the credentials come from, and return whether they have changed."""
        ...

    def hide(self, text: str) -> str:
        """Return the text without the credentials, which a server may repeat in its error messages."""
        ...


class FixedAuthorization:
    """The same header for each request."""

    def __init__(self, header: str) -> None:
        self._header = header

    def header(self) -> str:
        return self._header

    def changed(self) -> bool:
        return False

    def hide(self, text: str) -> str:
        return _without(text, self._header)


class TokenFile:
    """The bearer token in a file. `name`: of the setting, for messages.

    If the file can't be read any more, or is empty for a moment, the last token stays in use.
    """

    def __init__(self, path: Path, name: str = "QUEUE_TOKEN_FILE") -> None:
        self._path = path
        self._name = name
        self._version: Version | None = None
        self._token = ""
        self._problem = ""

    def header(self) -> str:
        self._look()
        if not self._token:
            raise CredentialsError(self._problem)
        return f"Bearer {self._token}"

    def changed(self) -> bool:
        before, self._version = self._token, None
        self._look()
        return self._token != before

    def hide(self, text: str) -> str:
        return _without(text, f"Bearer {self._token}")

    def _look(self) -> None:
        """Read the file if it has changed. The file is small and local, so this doesn't leave the event loop."""
        try:
            found = self._path.stat()
            if not stat.S_ISREG(found.st_mode):  # opening a pipe would block the event loop
                self._keep("it is not a regular file")
                return
            version = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
            if version == self._version:
                return
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES).decode("ascii", errors="replace").strip()
        except OSError as error:
            self._keep(f"it can't be read: {error.strerror}")
            return
        if not TOKEN.fullmatch(text):
            self._keep(f"its content is not a token; allowed: {ALLOWED}")
            return
        self._version, self._token, self._problem = version, text, ""

    def _keep(self, reason: str) -> None:
        """Note why there is no new token; log it once if an older one stays in use."""
        problem = f"{self._name} is {str(self._path)[:200]!r}: {reason}"
        if self._token and problem != self._problem:
            logger.warning("token file unusable, the last token stays in use: %s", problem)
        self._problem, self._version = problem, None


def authorization(token: str, token_file: Path | None, from_url: str = "") -> Authorization:
    """Return what authorises the requests of a client: the token file, the token or, without both, `from_url`."""
    if token_file is not None:
        return TokenFile(token_file)
    return FixedAuthorization(f"Bearer {token}" if token else from_url)


def _without(text: str, header: str) -> str:
    secret = header.partition(" ")[2]
    return text.replace(secret, "…") if secret else text
