"""The queue file and the token file → the access rules in force, which follow changes of the files.

A file is read again when it has changed and then stayed the same for one interval, so that a file that is being written
isn't read half. A changed file is recognised by what `stat` returns: editors and Kubernetes replace files or links to
them instead of writing to them. If the new content is invalid, the previous rules stay in force.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from emulator.permissions.access import Access
from emulator.permissions.queue_file import QueueFile, QueueFileError, read_queue_file
from emulator.permissions.tokens import TokenFileError, Tokens, read_token_file
from emulator.wire.errors import first_error

log = logging.getLogger(__name__)
POLL_SECONDS = 0.5

Signature = tuple[int, ...] | None
"""What identifies a version of a file; None if there is none."""


@dataclass(slots=True)
class _File:
    """A file, its option, and the versions that were read and seen last. `problem` is why the last one isn't used."""

    path: Path
    option: str
    read: Signature = None
    seen: Signature = None
    problem: str = ""

    def has_changed(self) -> bool:
        """Return whether there is a version that wasn't read yet, and that is at least one interval old."""
        before, self.seen = self.seen, _signature(self.path)
        return self.seen != self.read and self.seen == before


class AccessFiles:
    """The rules of the files: `access`. Without files, they never change.

    Raises QueueFileError, TokenFileError, OSError.
    """

    def __init__(self, queue_file: str | None, token_file: str | None, *, test_verbs: bool = False) -> None:
        self._queues = _File(Path(queue_file), "--queues") if queue_file else None
        self._tokens = _File(Path(token_file), "--token-file") if token_file else None
        self.access = Access(test_verbs=test_verbs)
        for file in self._files():
            self.access = self._read(file)

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each file whose current version isn't used. It doesn't quote the file."""
        return tuple(
            f"the file of {file.option} has changed, but can't be used; its previous version applies; see the log"
            for file in self._files()
            if file.problem
        )

    async def follow(self) -> None:
        """Read the files again whenever they change, until cancelled."""
        while self._files():
            await trio.sleep(POLL_SECONDS)
            for file in self._files():
                if await trio.to_thread.run_sync(file.has_changed, abandon_on_cancel=True):
                    await self._reread(file)

    async def _reread(self, file: _File) -> None:
        try:
            self.access = await trio.to_thread.run_sync(self._read, file, abandon_on_cancel=True)
        except (QueueFileError, TokenFileError, OSError) as error:
            problem = " ".join(str(first_error(error)).splitlines())
            if problem != file.problem:
                log.warning("%s not reread, its previous version applies: %s", file.option, problem)
            file.problem = problem
        else:
            file.problem = ""
            log.info("%s reread", file.option)

    def _read(self, file: _File) -> Access:
        """Return the rules with the current content of a file."""
        file.read = file.seen = _signature(file.path)
        if file is self._queues:
            queues: QueueFile = read_queue_file(file.path)
            return replace(self.access, queues=queues)
        tokens: Tokens = read_token_file(file.path)
        return replace(self.access, tokens=tokens)

    def _files(self) -> list[_File]:
        return [file for file in (self._queues, self._tokens) if file is not None]


def _signature(path: Path) -> Signature:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
