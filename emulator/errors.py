"""Errors in the shape that Google's APIs gave them, so that existing clients read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quart import Response

from emulator import replies

SHOWN_CHARACTERS = 60

REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    405: "httpMethodNotAllowed",
    409: "duplicate",
    411: "required",
    413: "uploadTooLarge",
    414: "uriTooLong",
    429: "rateLimitExceeded",
    503: "backendError",
}


@dataclass
class ApiError(Exception):
    """A reply that isn't what was asked for. `location` names the parameter or field that is wrong."""

    status: int
    message: str
    reason: str = ""
    location: str = ""
    location_type: str = "parameter"

    def body(self) -> dict[str, Any]:
        """Return the error envelope."""
        reason = self.reason or REASONS.get(self.status, "backendError")
        entry = {"domain": "global", "reason": reason, "message": self.message}
        if self.location:
            entry |= {"locationType": self.location_type, "location": self.location}
        return {"error": {"errors": [entry], "code": self.status, "message": self.message}}

    def response(self) -> Response:
        """Return the reply, with Retry-After where trying again helps."""
        response = replies.json_reply(self.body(), self.status)
        if self.status in (429, 503):
            response.headers["Retry-After"] = "1"
        return response


def invalid(location: str, value: object, allowed: str, *, location_type: str = "parameter") -> ApiError:
    """Return the error for a value that is not allowed: names the place, the value and what is allowed."""
    shown = repr(value)
    if len(shown) > SHOWN_CHARACTERS:
        shown = shown[:SHOWN_CHARACTERS] + "…"
    return ApiError(400, f"{location} is {shown}; allowed: {allowed}", "invalidParameter", location, location_type)


def required(location: str, allowed: str) -> ApiError:
    """Return the error for a parameter that is missing."""
    return ApiError(400, f"{location} is missing; allowed: {allowed}", "required", location)
