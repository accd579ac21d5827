"""Documents in a folder ⇄ records of what they were drawn from, in its subfolder `.render-trio`.

A record is all that drawing a document again needs: `submit --stale` compares its fingerprint with the installed
version's. A *submission* notes which file the document of a new task is to replace. It is written before the task is
submitted, and removed after its result was acknowledged, so a kill at any moment neither submits a document twice nor
leaves two versions of it. Both are found by name, without reading the folder, whatever the number of documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from render_trio.queue.results import Received
from render_trio.queue.saving import clean_name, digest_of, replace

FOLDER = ".render-trio"
DOCUMENTS, SUBMISSIONS = "documents", "submitted"
KEY_CHARACTERS = 32  # of a digest: any text becomes a short, safe file name


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the file `file` was drawn from. `fingerprint` and `request` are missing if the service was too old."""

    file: str
    task_id: str
    filename: str
    sha256: str
    tag: str
    view: str = ""
    fingerprint: str | None = None
    request: dict[str, Any] | None = None


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A task whose document replaces `file`, which has the digest `sha256` until then.

    `accepted`: the queue confirmed it. Otherwise it has to be submitted again, under the same ID.
    """

    task_id: str
    file: str
    sha256: str
    accepted: bool = False


S = TypeVar("S", Record, Submission)


@dataclass(frozen=True, slots=True)
class Damaged:
    """A record that can't be read, and the reason."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a document was written. `kept`: the file that it should have replaced, but that was changed since."""

    path: Path
    kept: Path | None = None


class Records:
    """The records of the documents in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._documents = folder / FOLDER / DOCUMENTS
        self._submissions = folder / FOLDER / SUBMISSIONS

    def store(self, received: Received, tag: str) -> Stored:
        """Write the document of a result and its record; in place of the document that its task replaces, if any.

        Repeating it changes nothing. Raises OSError.
        """
        stored = self._write(received)
        request = received.request or {}
        record = Record(
            file=stored.path.name,
            task_id=received.task_id,
            filename=received.filename or "",
            sha256=received.sha256 or "",
            tag=tag,
            view=str(request.get("resource_view", "")),
            fingerprint=received.fingerprint,
            request=received.request,
        )
        _write(self._documents, stored.path.name, record)
        return stored

    def _write(self, received: Received) -> Stored:
        submission = _read(self._submissions / _key(received.task_id), Submission)
        if not isinstance(submission, Submission) or received.document is None:
            return Stored(received.save(self._folder))
        path = self._folder / submission.file
        found = digest_of(path)
        if found not in (None, submission.sha256, received.sha256):
            return Stored(received.save(self._folder), kept=path)
        if found != received.sha256:
            replace(path, received.document)
        return Stored(path)

    def finish(self, task_id: str) -> None:
        """Remove the submission of a task whose result was acknowledged. Raises OSError."""
        (self._submissions / _key(task_id)).unlink(missing_ok=True)

    def read(self) -> Iterator[Record | Damaged]:
        """Yield all records, in the order of their files' names. Raises OSError."""
        found = [_read(path, Record) for path in sorted(self._documents.glob("*.json"))]
        records = [one for one in found if isinstance(one, Record)]
        yield from sorted(records, key=lambda record: record.file)
        yield from (one for one in found if isinstance(one, Damaged))

    def path_of(self, record: Record) -> Path:
        """Return the path of a document."""
        return self._folder / record.file

    def outstanding(self, done: Collection[str]) -> dict[str, Submission]:
        """Return the submissions whose results were not fetched yet, by the file that they replace. Raises OSError.

        `done`: the tasks of all documents. A submission of one of them was not removed, because of a kill.
        """
        found: dict[str, Submission] = {}
        for path in sorted(self._submissions.glob("*.json")):
            submission = _read(path, Submission)
            if isinstance(submission, Submission) and submission.task_id not in done:
                found[submission.file] = submission
            else:
                path.unlink(missing_ok=True)
        return found

    def note(self, submission: Submission) -> None:
        """Write a submission. Raises OSError."""
        _write(self._submissions, submission.task_id, submission)


def _key(name: str) -> str:
    return f"{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:KEY_CHARACTERS]}.json"


def _write(folder: Path, name: str, values: msgspec.Struct) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / _key(name), msgspec.json.format(msgspec.json.encode(values)) + b"\n")


def _read(path: Path, kind: type[S]) -> S | Damaged | None:
    """Return what a file contains; None if it is missing."""
    try:
        values = msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Damaged(path, str(error))
    if clean_name(values.file, ".pdf") != values.file:
        return Damaged(path, f"file is {values.file[:60]!r}; allowed: the name of a PDF in this folder")
    return values
