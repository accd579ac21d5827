"""A token in a setting, and tokens in a file, which is read again when it changes → whether a token is one of them.

The file has one token per line. It may have several, so that they can be replaced without an interruption: add the new
one, change the clients, remove the old one. A file that can't be used is reported, and the tokens that were read last
stay valid, so that a mistake doesn't lock every client out.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
import time
from pathlib import Path

import structlog

from render_trio.errors import StartupError

TOKEN = re.compile(r"[!-~]{16,200}")
ALLOWED = "16 to 200 printable ASCII characters without spaces"
MAX_FILE_BYTES = 64 * 1024
# A file that was changed so recently may have changed again without a difference in its time or size.
UNCERTAIN_SECONDS = 2.0
NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)  # not on Windows, which has no named pipes in its file system
log = structlog.get_logger(__name__)

_State = tuple[int, ...]


class Tokens:
    """The tokens of a setting, such as WEB_TOKEN, and of its file (WEB_TOKEN_FILE). Only digests are stored."""

    def __init__(self, setting: str, token: str = "", file: Path | None = None) -> None:
        """`setting` is the name of the setting that has the token, which is "" if it isn't set.

        Raises StartupError if the file can't be read or has a line that is no token.
        """
        self.setting = setting
        self._file = file
        self._given = frozenset({digest_of(token)} if token else ())
        self._read = frozenset[bytes]()
        self._state: _State | None = None
        self._problem = ""
        if file is not None:
            try:
                self._state = _state(file)
                self._read = read_tokens(file)
            except (OSError, ValueError) as error:
                raise StartupError(f"{setting}_FILE is {str(file)!r}: {_reason(error)}") from None

    @property
    def configured(self) -> bool:
        """Whether there is any token."""
        return bool(self._given) or self._file is not None

    def accept(self, token: str) -> bool:
        """Return whether this is one of the tokens. The time that it takes depends only on their number."""
        if self._file is not None:
            self._reread(self._file)
        digest, found = digest_of(token), False
        for valid in (*self._given, *self._read):
            found |= hmac.compare_digest(valid, digest)
        return found

    def _reread(self, file: Path) -> None:
        """Read the file again if it may have changed. The path may lead through links that are replaced instead."""
        try:
            state = _state(file)
            if state == self._state and time.time() - state[0] / 1e9 > UNCERTAIN_SECONDS:
                return
            tokens = read_tokens(file)
        except (OSError, ValueError) as error:
            # A repeated failure to read the same file is not logged again.
            if (problem := _reason(error)) != self._problem:
                log.warning("token file not read", setting=f"{self.setting}_FILE", error=problem)
            self._problem, self._state = problem, None
            return
        if tokens != self._read or self._problem:
            log.info("token file read again", setting=f"{self.setting}_FILE", tokens=len(tokens))
        self._problem, self._state, self._read = "", state, tokens


def digest_of(token: str) -> bytes:
    """Return the digest under which a token is stored and compared."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def read_tokens(file: Path) -> frozenset[bytes]:
    """Return the digests of the tokens in a file: one token per line, without empty lines and `#` comments.

    Raises OSError, or ValueError with a message that names the line but doesn't contain it.
    """
    # A pipe or a device would block the event loop, or never end.
    descriptor = os.open(file, os.O_RDONLY | NONBLOCK)
    with open(descriptor, "rb") as opened:  # noqa: PTH123  (it is a descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        content = opened.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"it has more than {MAX_FILE_BYTES} bytes")
    tokens = set()
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        text = line.strip().decode("latin-1")
        if not text or text.startswith("#"):
            continue
        if not TOKEN.fullmatch(text):
            raise ValueError(f"line {number} is not a token; allowed: {ALLOWED}")
        tokens.add(digest_of(text))
    if not tokens:
        raise ValueError("it contains no token; write one token per line")
    return frozenset(tokens)


def _state(file: Path) -> _State:
    """Return what changes when the file does: its times and size, and its identity."""
    found = file.stat()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


def _reason(error: OSError | ValueError) -> str:
    """Return the cause, as part of a line for the operator."""
    if isinstance(error, OSError):
        return f"it can't be read: {error.strerror or error}"
    return str(error)
