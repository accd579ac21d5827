"""The service's exceptions, and what happens to the task when one is raised.

RenderTrioError
├── RejectError                 the task can never succeed: a failure result is delivered, the task is deleted
│   ├── InvalidTaskError            the payload can't be read, or it requests something that doesn't exist
│   └── TooLargeError               the document is larger than any configured way of delivery allows
├── RetryError                  this attempt failed: the task is released and retried, up to TASK_RETRY_LIMIT
│   ├── RenderFailedError           drawing or finishing raised, or the check of the finished bytes failed
│   ├── RenderTimedOutError         the time limit was exceeded
│   ├── RenderCrashedError          the render process died: killed, out of memory, a fault in C code
│   ├── AttemptsExhaustedError      the task was leased TASK_RETRY_LIMIT times without being settled
│   ├── DeliveryError               the document store fails: the document waits, and the attempt isn't over
│   └── BusyError                   web only: too many documents are being requested; carries a retry delay
├── LeaseLostError              another worker has the task, or will lease it: nothing is delivered or changed
├── QueueError                  the task is left alone; its lease expires and it is leased again
│   ├── QueueUnavailableError       the queue can't be reached or didn't answer in time; retrying helps
│   └── QueueRefusedError           the queue rejected the request; retrying doesn't help
│       └── TaskExistsError             producers only: the ID that was chosen for a task is taken
├── BrokenResultError           producers only: a result can't be read, or its document isn't the one it describes
├── UnavailableError            a linked document can't be read now; a producer releases its result
├── CredentialsError            a token file or a certificate file can't be used; the message names the setting
├── StartupError                the service can't start as configured: it exits, and the message names the setting
└── FatalError                  the process can't continue: leases are released, and it exits to be restarted
"""

from __future__ import annotations

import traceback
from pathlib import PurePath
from typing import ClassVar


class RenderTrioError(Exception):
    """The base class of this package's exceptions.

    `code` is a short, stable name for programs: a failed task's result carries it. Without a message, the
    first line of the class's docstring is used.

    The message is for the sender of the task, and may quote it. `loggable` is for logs and status pages: it has no
    values from a task, because they may contain names of pupils.
    """

    code: str = "internal"

    def __init__(self, message: str = "", *, loggable: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n")[0])
        self.loggable = loggable or str(self)


class RejectError(RenderTrioError):
    """The task can never succeed."""


class InvalidTaskError(RejectError):
    """The task can't be read, or requests something that doesn't exist.

    `field` is the task's key with the invalid value; empty if the payload as a whole is at fault.
    """

    def __init__(self, code: str, message: str, field: str = "", *, loggable: str = "") -> None:
        super().__init__(message, loggable=loggable or f"{field or 'the payload'} is invalid")
        self.code = code
        self.field = field


class TooLargeError(RejectError):
    """The document is too large to be delivered."""

    code = "too_large"


class ExpiredError(RejectError):
    """A task from the web waited for too long: its visitor has gone."""

    code = "expired"


class RetryError(RenderTrioError):
    """The attempt failed; another one may succeed."""

    retry_delay: ClassVar[float] = 0.0
    """Seconds before the first retry, doubled for each further one; 0 means at once."""


class RenderFailedError(RetryError):
    """The document could not be drawn."""

    code = "render_failed"


class RenderTimedOutError(RetryError):
    """The document was not drawn within its time limit."""

    code = "timed_out"


class RenderCrashedError(RetryError):
    """The process that was drawing the document died."""

    code = "crashed"


class AttemptsExhaustedError(RetryError):
    """The task was leased as often as TASK_RETRY_LIMIT allows, and no attempt finished."""

    code = "attempts_exhausted"


class DeliveryError(RetryError):
    """The document could not be stored.

    The document then waits for the store. It is an attempt at the task only if other documents could be stored
    meanwhile. `store_full`: the store has no space, which says nothing about the document.
    """

    code = "delivery_failed"
    retry_delay = 4.0

    def __init__(self, message: str = "", *, store_full: bool = False) -> None:
        super().__init__(message)
        self.store_full = store_full


class BusyError(RetryError):
    """Too many documents are being requested. `retry_after`: seconds, for the Retry-After header."""

    code = "busy"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many documents are being requested; try again in {retry_after} s")
        self.retry_after = retry_after


class LeaseLostError(RenderTrioError):
    """The task's lease expired or was taken over by another worker."""


class QueueError(RenderTrioError):
    """A request to the queue failed."""


class QueueUnavailableError(QueueError):
    """The queue can't be reached at the moment. `pause`: seconds from the queue's Retry-After, 0 if there is none."""

    def __init__(self, message: str = "", pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


class QueueRefusedError(QueueError):
    """The queue rejected the request as invalid or not permitted."""


class TaskExistsError(QueueRefusedError):
    """The ID that was chosen for a task is taken by another task."""

    code = "task_exists"


class BrokenResultError(RenderTrioError):
    """A result can't be read, or its document is not the one that it describes. `task_id`: "" if it is unknown."""

    code = "broken_result"

    def __init__(self, message: str, task_id: str = "") -> None:
        super().__init__(message)
        self.task_id = task_id


class UnavailableError(RenderTrioError):
    """A linked document can't be read at the moment."""

    code = "document_unavailable"


class CredentialsError(RenderTrioError):
    """A file with a token or with certificates can't be used."""


class StartupError(RenderTrioError):
    """The service can't start as it is configured."""


class FatalError(RenderTrioError):
    """The service can't continue and must be restarted."""


def loggable(error: BaseException) -> str:
    """Return the type of an exception and what of it may be logged: see RenderTrioError.

    The message of an unknown exception may quote a task. Where it was raised is shown in its place.
    """
    name = type(error).__name__
    if isinstance(error, RenderTrioError):
        return f"{name}: {error.loggable}"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}" + (f": {str(error.filename)[:200]!r}" if error.filename else "")
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    if not frames:
        return name
    return f"{name} in {frames[-1].name} ({PurePath(frames[-1].filename).name}:{frames[-1].lineno})"


def first_error(error: BaseException) -> BaseException:
    """Return the first exception inside `error` that is not a group; `error` itself if it isn't one.

    An exception group's message is only a title; the reason is further inside. Groups nest as deeply as
    nurseries do, and Python before 3.11.4 adds one more level when `except*` raises.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
