"""A PDF → a file in a folder, named by its digest. The folder may be a mounted bucket."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from render_trio.errors import DeliveryError


class DirectoryStore:
    """Documents as files named `<sha256>.pdf`: storing the same document twice changes nothing."""

    def __init__(self, folder: Path, url_prefix: str) -> None:
        """`url_prefix` is the public address of the folder; without one, links are `file:` addresses."""
        self._folder = folder
        self._url_prefix = url_prefix.rstrip("/")

    def put(self, pdf: bytes, sha256: str) -> str:
        """Store the document and return its address. Raises DeliveryError, and then leaves no partial file."""
        name = f"{sha256}.pdf"
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _write_atomically(path, pdf)
        except OSError as error:
            raise DeliveryError(f"storing {len(pdf)} bytes in the document store failed: {error}") from error
        return f"{self._url_prefix}/{name}" if self._url_prefix else path.resolve().as_uri()

    def read(self, sha256: str) -> bytes | None:
        """Return the document with this digest, or None if it is missing or damaged.

        The digest may come from outside: a value that is not a SHA-256 digest never becomes part of a path.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", sha256, re.ASCII):
            return None
        try:
            content = (self._folder / f"{sha256}.pdf").read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _write_atomically(path: Path, content: bytes) -> None:
    """Write a file that exists either completely or not at all, even if this process is killed."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
