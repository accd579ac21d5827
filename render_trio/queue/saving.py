"""A file name from outside and some content → a file in a folder, complete or absent.

The name in a result is untrusted: its resource, a task's author or a broken result chose it. `clean_name` makes it a
name that every common file system accepts and that stays in its folder. Files with the same name but different
content get a part of their digest: `Grid.pdf`, then `Grid (0d4f3c1b).pdf`, then the whole digest. So the number of
operations per file is constant. Saving the same content again finds the existing file.

A process that is killed leaves a partial file under a temporary name. The first time that another process saves to the
folder, it deletes the partial files that are too old to belong to a process that is still writing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from resources.request import FILENAME_BYTES, safe_filename

SHORT_DIGEST = 8  # characters
PARTIAL_SECONDS = 3600.0  # since it was last written to, after which a partial file can't be in use
PREFIX, SUFFIX = ".render-trio-", ".part"
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EMLINK, errno.EACCES)


def clean_name(text: str, suffix: str, *, fallback: str = "document", room: int = 0) -> str:
    """Return a file name with `suffix` for a text from outside; with `room` more bytes, it has at most 255 in UTF-8.

    `suffix` is added unless the text ends with it. The fallback, an ASCII word, is the name if nothing is left.
    """
    name = safe_filename(text, suffix=suffix, limit=FILENAME_BYTES - room)
    stem = " ".join(name.removesuffix(suffix).split())
    return f"{stem or fallback}{suffix}"


def save(folder: Path, name: str, content: bytes, *, suffix: str = ".pdf", fallback: str = "document") -> Path:
    """Write content to a file with this name in the folder, made if necessary, and return its path.

    A file of that name with other content is kept; a file with the same content is used. Raises OSError, and then
    leaves no partial file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(content).hexdigest()
    marks = ("", f" ({digest[:SHORT_DIGEST]})", f" ({digest})")
    try:
        return _save([folder / _marked(name, mark, suffix, fallback) for mark in marks], content)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
    # An encrypted file system allows shorter names: eCryptfs 143 bytes.
    return _save([folder / f"{fallback} ({digest}){suffix}"], content)


def _save(paths: list[Path], content: bytes) -> Path:
    """Write content to the first of the paths that is free, unless one has it; the last is replaced."""
    for path in paths:
        if _has(path, content):
            return path
    with _Temporary(paths[-1].parent, content) as temporary:
        for path in paths[:-1]:
            if temporary.link(path):
                return path
            if _has(path, content):  # saved by another process at the same time
                return path
        # The whole digest in the name: a file that has it and other content was damaged.
        temporary.replace(paths[-1])
    return paths[-1]


def _marked(name: str, mark: str, suffix: str, fallback: str) -> str:
    cleaned = clean_name(name, suffix, fallback=fallback, room=len(mark))
    return f"{cleaned.removesuffix(suffix)}{mark}{suffix}"


def replace(path: Path, content: bytes) -> None:
    """Write content to a file; an existing one is replaced at once. Raises OSError, and then leaves no partial file."""
    with _Temporary(path.parent, content) as temporary:
        temporary.replace(path)


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 digest of a file in hexadecimal, or None if it is missing. Raises OSError."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def _has(path: Path, content: bytes) -> bool:
    """Return whether there is a file with this content. It is read only if its size is the same. Raises OSError."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return path.is_file() and found.st_size == len(content) and path.read_bytes() == content


_PARTIAL = re.compile(rf"{re.escape(PREFIX)}[a-z0-9_]{{8}}{re.escape(SUFFIX)}", re.ASCII)  # as tempfile names them
_swept: set[Path] = set()


def sweep(folder: Path, now: float | None = None) -> None:
    """Delete the partial files that killed processes have left in the folder."""
    oldest = (time.time() if now is None else now) - PARTIAL_SECONDS
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # another process sweeps too, or the file belongs to another user
                partial = _PARTIAL.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
                if partial and Path(entry.path).stat().st_mtime < oldest:
                    Path(entry.path).unlink()


def _sweep_once(folder: Path) -> None:
    if folder not in _swept:
        _swept.add(folder)
        sweep(folder)


class _Temporary:
    """A complete file under a temporary name, in the folder where it is to be; removed at the end."""

    def __init__(self, folder: Path, content: bytes) -> None:
        self._folder = folder
        self._content = content
        self._path = ""

    def __enter__(self) -> _Temporary:
        _sweep_once(self._folder)
        descriptor, self._path = tempfile.mkstemp(dir=self._folder, prefix=PREFIX, suffix=SUFFIX)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._content)
                file.flush()
                os.fsync(file.fileno())
            with suppress(OSError):  # not permitted or not supported: a mounted bucket or a network share has its own
                Path(self._path).chmod(0o644)
        except OSError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._path:
            Path(self._path).unlink(missing_ok=True)

    def link(self, path: Path) -> bool:
        """Give the file its final name, and return True; False if the name is taken. Raises OSError."""
        try:
            os.link(self._path, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._rename(path)
        _sync(self._folder)
        return True

    def _rename(self, path: Path) -> bool:
        """Do the same where the file system has no hard links (FAT, mounted buckets).

        Two processes that save different files of one name at the same moment could overwrite one here, because POSIX
        has no rename that refuses to replace.
        """
        if os.path.lexists(path):
            return False
        self.replace(path)
        return True

    def replace(self, path: Path) -> None:
        """Give the file its final name, also in place of another. Raises OSError."""
        Path(self._path).replace(path)
        self._path = ""
        _sync(self._folder)


def _sync(folder: Path) -> None:
    """Write the folder's entries to disk, so that a document outlives a power cut once its result is deleted."""
    with suppress(OSError):  # Windows and some network file systems can't
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
