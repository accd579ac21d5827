"""A PDF → a file in a folder, named by its digest. The folder may be a mounted bucket.

A document is written under a temporary name and then renamed: a file under its final name is complete, whenever the
process is killed or the disk becomes full. `sweep` deletes what nobody needs any more. It touches only files with
names that this store gives, and several services may sweep the same folder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import tempfile
import time
from pathlib import Path

from render_trio.errors import DeliveryError, UnavailableError

PARTIAL_SECONDS = 3600.0  # after which a partial file can't belong to a delivery in progress, of any service
# The errors of file systems that don't support permissions or dates, above all mounted buckets.
UNSUPPORTED = frozenset({errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
ADVICE = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there, or raise the quota",
    errno.EROFS: "mount it writable",
    errno.EACCES: "allow this user to use it",
    errno.EPERM: "allow this user to use it",
    errno.ENOTCONN: "mount it again",
    errno.ESTALE: "mount it again",
    errno.ENOTDIR: "move the file in its place away",
    errno.EEXIST: "move the file in its place away",
    errno.EISDIR: "move the folder in its place away",
    errno.EFBIG: "raise the limit on the size of files",
}
_DOCUMENT = re.compile(r"[0-9a-f]{64}\.pdf", re.ASCII)
_PARTIAL = re.compile(r"\.([0-9a-f]{64}\.)?[a-z0-9_]{8}\.part", re.ASCII)  # version 0.1.0 wrote no digest


class DirectoryStore:
    """Documents as files named `<sha256>.pdf`: storing the same document twice changes nothing."""

    def __init__(self, folder: Path, url_prefix: str) -> None:
        """`url_prefix` is the public address of the folder; without one, links are `file:` addresses."""
        self._folder = folder
        self._url_prefix = url_prefix.rstrip("/")

    def inside(self, name: str) -> DirectoryStore:
        """Return the store in the folder of this name inside the folder."""
        return DirectoryStore(self._folder / name, self._url_prefix and f"{self._url_prefix}/{name}")

    def exists(self) -> bool:
        """Return whether the folder was created."""
        return self._folder.is_dir()

    def put(self, pdf: bytes, sha256: str) -> str:
        """Store the document and return its address. Raises DeliveryError, and then leaves no partial file."""
        name = f"{sha256}.pdf"
        path = self._folder / name
        try:
            self._make_folder()
            if not _renewed(path, len(pdf)):
                _write_atomically(path, pdf)
        except OSError as error:
            place = path if error.errno == errno.EISDIR else self._folder
            raise DeliveryError(
                f"document store: [Errno {error.errno}] {error.strerror}: {str(place)!r}; {_advice(error)}",
                store_full=error.errno in FULL,
            ) from error
        return f"{self._url_prefix}/{name}" if self._url_prefix else path.resolve().as_uri()

    def _make_folder(self) -> None:
        try:
            self._folder.stat()  # not `mkdir`, which states that the folder exists if its file system fails
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)

    def sweep(self, keep_seconds: float, now: float | None = None) -> int:
        """Delete documents that were last stored more than `keep_seconds` ago, unless 0; return their number.

        Also deletes partial files that a killed process has left. Raises OSError if the folder can't be read.
        """
        now = time.time() if now is None else now
        deleted = 0
        if not self._folder.is_dir():
            return 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                is_document = bool(_DOCUMENT.fullmatch(entry.name))
                oldest = now - (keep_seconds if is_document else PARTIAL_SECONDS)
                if not ((is_document and keep_seconds) or _PARTIAL.fullmatch(entry.name)):
                    continue
                # Another service may delete the file, too, or store the document again.
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_file(follow_symlinks=False) and Path(entry.path).stat().st_mtime < oldest:
                        Path(entry.path).unlink()
                        deleted += is_document
        return deleted

    def read(self, sha256: str) -> bytes | None:
        """Return the document with this digest, or None if it is missing or damaged.

        The digest may come from outside: a value that is not a SHA-256 digest never becomes part of a path. Raises
        UnavailableError if the store fails. Its message is for clients and doesn't name the folder.
        """
        if not re.fullmatch(r"[0-9a-f]{64}", sha256, re.ASCII):
            return None
        try:
            self._folder.stat()  # a missing folder is a fault of the store, a missing file isn't
            content = _content(self._folder / f"{sha256}.pdf")
        except OSError as error:
            raise UnavailableError(f"the document store can't be read: {error.strerror}") from error
        if content is None:
            return None
        return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _advice(error: OSError) -> str:
    return ADVICE.get(error.errno or 0, "check its file system")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None


def _renewed(path: Path, size: int) -> bool:
    """Return whether the document is there; it is then kept as long as a new one.

    A file of another size is not the document: it was damaged after it was written.
    """
    try:
        if path.stat().st_size != size:
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in UNSUPPORTED:  # written again, so that it has a new date
            return False
        raise
    return True


def _write_atomically(path: Path, content: bytes) -> None:
    """Write a file that exists either completely or not at all, even if this process is killed."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _allow_reading(Path(temporary))
        Path(temporary).replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # the store has failed; a partial file is deleted by `sweep`
            Path(temporary).unlink(missing_ok=True)
        raise


def _allow_reading(path: Path) -> None:
    """Let the web server that serves the links read the file; a mounted bucket has permissions of its own."""
    try:
        path.chmod(0o644)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
