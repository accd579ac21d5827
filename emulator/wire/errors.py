"""Errors in the formats of Google's APIs, so that existing clients can parse them.

Older APIs list errors with a reason; newer ones use a gRPC status with details. The module of each API selects one
of the two formats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SHOWN_CHARACTERS = 60
RETRY_AFTER_SECONDS = 1

REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    405: "httpMethodNotAllowed",
    408: "requestTimeout",
    409: "duplicate",
    411: "required",
    412: "conditionNotMet",
    413: "uploadTooLarge",
    414: "uriTooLong",
    415: "unsupportedMediaType",
    421: "misdirectedRequest",
    429: "rateLimitExceeded",
    431: "headersTooLarge",
}
OTHER_REASON = "backendError"

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ALREADY_EXISTS",
    411: "INVALID_ARGUMENT",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    414: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    421: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
    431: "INVALID_ARGUMENT",
    503: "UNAVAILABLE",
}
OTHER_STATUS = "INTERNAL"
QUOTA_REASON = "quotaExceeded"
LEASE_REASONS = ("leaseExpired", "leaseConflict")


@dataclass
class ApiError(Exception):
    """An error reply. `location` names the invalid parameter, field or header."""

    status: int
    message: str
    reason: str = ""
    location: str = ""
    location_type: str = "parameter"
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def reply_headers(self) -> tuple[tuple[str, str], ...]:
        """The headers of the reply, including Retry-After if a retry can succeed."""
        if self.status in (429, 503):
            return (*self.headers, ("Retry-After", str(RETRY_AFTER_SECONDS)))
        return self.headers


ErrorStyle = Callable[[ApiError], dict[str, Any]]


def by_reason(error: ApiError) -> dict[str, Any]:
    """Return the error body of the older APIs."""
    reason = error.reason or REASONS.get(error.status, OTHER_REASON)
    entry = {"domain": "global", "reason": reason, "message": error.message}
    if error.location:
        entry |= {"locationType": error.location_type, "location": error.location}
    return {"error": {"errors": [entry], "code": error.status, "message": error.message}}


def by_status(error: ApiError) -> dict[str, Any]:
    """Return the error body of the newer APIs; an invalid field becomes a field violation."""
    status = STATUSES.get(error.status, OTHER_STATUS)
    if error.reason in LEASE_REASONS:
        status = "FAILED_PRECONDITION"
    elif error.reason == QUOTA_REASON:
        status = "RESOURCE_EXHAUSTED"
    body: dict[str, Any] = {"code": error.status, "message": error.message, "status": status}
    if error.location:
        violation = {"field": error.location, "description": error.message}
        body["details"] = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
    return {"error": body}


def first_error(error: BaseException) -> BaseException:
    """Return the first exception that is not a group: it contains the reason, a group only a title."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def shown(value: object) -> str:
    """Return a value for an error message: quoted, and shortened to SHOWN_CHARACTERS."""
    text = repr(value[: SHOWN_CHARACTERS + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def invalid(location: str, value: object, allowed: str, *, location_type: str = "parameter") -> ApiError:
    """Return the error for a value that is not allowed; it names the location, the value and what is allowed."""
    message = f"{location} is {shown(value)}; allowed: {allowed}"
    return ApiError(400, message, "invalidParameter", location, location_type)


def required(location: str, allowed: str, *, location_type: str = "parameter") -> ApiError:
    """Return the error for a missing parameter or field."""
    return ApiError(400, f"{location} is missing; allowed: {allowed}", "required", location, location_type)
