"""The records of documents → the tasks that draw again those that the installed version draws differently."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from render_trio.queue.messages import RESULT_TAG
from render_trio.queue.producer import check_values, new_task_id
from render_trio.queue.records import Damaged, Record, Records, Submission
from render_trio.rendering.fingerprint import fingerprint
from resources.parsing import RequestError
from resources.registry import CATALOGUE


@dataclass(frozen=True, slots=True)
class Due:
    """A document that is to be drawn again: the values of its task, and the note of what it replaces."""

    submission: Submission
    values: dict[str, Any]


@dataclass(slots=True)
class Plan:
    """What to do with the documents of a folder: each is due, up to date, outstanding or has a problem."""

    due: list[Due] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    up_to_date: int = 0
    outstanding: int = 0

    def summary(self, submitted: int) -> str:
        """Return what was done, in one line."""
        left_out = ((self.up_to_date, "up to date"), (self.outstanding, "submitted before and not fetched yet"))
        parts = [f"{submitted} submitted", *(f"{number} {what}" for number, what in left_out if number)]
        return ", ".join([*parts, *([f"{len(self.problems)} with a problem"] if self.problems else [])])


class _NotRenewableError(Exception):
    """A document can't be drawn again; the message is the reason."""


def plan_submissions(records: Records) -> Plan:
    """Return what to do with the documents that have records. Raises OSError."""
    plan = Plan()
    found = list(records.read())
    outstanding = records.outstanding({record.task_id for record in found if isinstance(record, Record)})
    for record in found:
        if isinstance(record, Damaged):
            plan.problems.append(f"the record {record.path} is damaged: {record.reason}")
            continue
        submission = outstanding.get(record.file)
        try:
            if _is_up_to_date(records, record):
                plan.up_to_date += 1
            elif submission is not None and submission.accepted:
                plan.outstanding += 1
            else:
                plan.due.append(_due(record, submission))
        except _NotRenewableError as problem:
            plan.problems.append(f"{records.path_of(record)}: {problem}")
    return plan


def _is_up_to_date(records: Records, record: Record) -> bool:
    if not records.path_of(record).is_file():
        raise _NotRenewableError("the file is missing; its record is in .render-trio/documents")
    if record.request is None or record.fingerprint is None:
        raise _NotRenewableError("drawn by a service that did not report a fingerprint; submit it again yourself")
    if record.view not in CATALOGUE:
        raise _NotRenewableError(f"its resource {record.view!r} is not installed; see --plugins")
    return fingerprint(record.view) == record.fingerprint


def _due(record: Record, submission: Submission | None) -> Due:
    """Return the task for a document. One that was noted but not accepted keeps its ID: it may be in the queue."""
    values = dict(record.request or {})
    if record.tag != RESULT_TAG:
        values["reply_tag"] = record.tag
    try:
        check_values(values)
    except RequestError as error:
        raise _NotRenewableError(f"the installed version rejects its options: {error}") from None
    noted = submission or Submission(task_id=new_task_id(), file=record.file, sha256=record.sha256)
    return Due(noted, values)
