"""Everything that can go wrong, and what becomes of the task then.

RenderTrioError
├── RejectError             verdict reject: the task can never work; answered with a failure, deleted
│   ├── InvalidTaskError        it can't be read, or asks for what doesn't exist
│   └── TooLargeError           its document is larger than anything here can deliver
├── RetryError              verdict retry: given back, and tried again up to the limit
│   ├── RenderFailedError       drawing or finishing raised, or the check of the bytes failed
│   ├── RenderTimedOutError     it took longer than its time limit
│   ├── RenderCrashedError      its process died: killed, out of memory, a fault in C
│   ├── AttemptsExhaustedError  it was leased too often and never settled
│   ├── DeliveryError           the document store didn't take it
│   └── BusyError               too many ask on the web at once; says when to come again
├── LeaseLostError          verdict leave: another worker has the task, or will; touch nothing
├── QueueError              verdict leave: the queue didn't do as asked; leases run out by themselves
│   ├── QueueUnavailableError   not reached, or not in time; trying again helps
│   └── QueueRefusedError       it says that the request is wrong
└── FatalError              verdict fatal: this process can't go on; the platform starts another
"""

from __future__ import annotations

from typing import ClassVar, Literal

Verdict = Literal["reject", "retry", "leave", "fatal"]


class RenderTrioError(Exception):
    """Something went wrong."""

    verdict: ClassVar[Verdict] = "fatal"
    code: str = "internal"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or " ".join((type(self).__doc__ or "").split()))


class RejectError(RenderTrioError):
    """The task can never work."""

    verdict = "reject"


class InvalidTaskError(RejectError):
    """The task can't be read, or asks for what doesn't exist."""

    def __init__(self, code: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class TooLargeError(RejectError):
    """The document is larger than anything here can deliver."""

    code = "too_large"


class RetryError(RenderTrioError):
    """The attempt failed; another may not."""

    verdict = "retry"
    retry_delay: ClassVar[float] = 0.0
    """Seconds before anybody may try again, doubled with each attempt; 0: at once."""


class RenderFailedError(RetryError):
    """The document could not be drawn."""

    code = "render_failed"


class RenderTimedOutError(RetryError):
    """The document was not drawn within its time limit."""

    code = "timed_out"


class RenderCrashedError(RetryError):
    """The process that drew the document died."""

    code = "crashed"


class AttemptsExhaustedError(RetryError):
    """The task was leased as often as is allowed, and no attempt came to an end."""

    code = "attempts_exhausted"


class DeliveryError(RetryError):
    """The document could not be stored."""

    code = "delivery_failed"
    # The store is at fault, not the task: tried again at once, all attempts would be used up within a second.
    retry_delay = 4.0


class BusyError(RetryError):
    """Too many ask at once; `retry_after` says in how many seconds to come again."""

    code = "busy"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many documents are asked for at once; try again in {retry_after} s")
        self.retry_after = retry_after


class LeaseLostError(RenderTrioError):
    """The task is no longer ours: its lease has ended."""

    verdict = "leave"


class QueueError(RenderTrioError):
    """The queue did not do as it was asked."""

    verdict = "leave"


class QueueUnavailableError(QueueError):
    """The queue can't be reached now."""

    def __init__(self, message: str = "", pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause  # s that the queue itself asks us to wait


class QueueRefusedError(QueueError):
    """The queue says that the request is wrong."""


class FatalError(RenderTrioError):
    """The service can't go on and must be started anew."""


def first_error(error: BaseException) -> BaseException:
    """Return the first exception that is not a group: the reason, where a group only has a title.

    Groups nest as deep as nurseries do, and Python 3.11 before 3.11.4 wraps once more in `except*`.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
