"""How the newer APIs write values in JSON, read and written: times, durations, page tokens, whole numbers.

Times are RFC 3339 in UTC with microseconds, which is what fences a lease; durations are seconds with an `s`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from emulator.stores.interface import SECOND
from emulator.wire.errors import invalid, required
from emulator.wire.parameters import TASK_NAME

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII
)
_DURATION = re.compile(r"(\d{1,9})(?:\.\d{1,9})?s", re.ASCII)
_TOKEN = re.compile(r"(\d{1,18})/(.{1,500})", re.ASCII)
TIME_ALLOWED = "a time such as 2030-01-31T12:00:00.123456Z"


def time_text(microseconds: int) -> str:
    """Return a time, with as many digits as it has: none, or six."""
    moment = EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds" if microseconds % SECOND else "seconds").replace("+00:00", "Z")


def time_of(fields: Mapping[str, Any], name: str, location: str) -> int | None:
    """Return a field's time in µs since the epoch; nanoseconds are cut off. None when it is missing.

    Raises ApiError.
    """
    value = fields.get(name)
    if value is None:
        return None
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise invalid(location, value, TIME_ALLOWED, location_type="field")
    date, clock, fraction, sign, hours, minutes = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}+00:00")
    except ValueError:
        raise invalid(location, value, TIME_ALLOWED, location_type="field") from None
    seconds = (moment - EPOCH) // timedelta(seconds=1)
    if sign:
        seconds -= (int(hours) * 3600 + int(minutes) * 60) * (1 if sign == "+" else -1)
    return seconds * SECOND + int((fraction or "").ljust(6, "0")[:6])


def duration_of(fields: Mapping[str, Any], name: str, most: int) -> int:
    """Return a field's duration in whole seconds, the rest being cut off. Raises ApiError."""
    allowed = f"seconds from 0s to {most}s, such as 3.5s"
    value = fields.get(name)
    if value is None:
        raise required(name, allowed, location_type="field")
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) > most:
        raise invalid(name, value, allowed, location_type="field")
    return int(match[1])


def whole_of(fields: Mapping[str, Any], name: str, lowest: int, highest: int, default: int | None = None) -> int:
    """Return a field's whole number, which may come as digits in a text. Raises ApiError."""
    allowed = f"a whole number from {lowest} to {highest}"
    value = fields.get(name)
    if value is None:
        if default is not None:
            return default
        raise required(name, allowed, location_type="field")
    if not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,9}", str(value), re.ASCII):
        number = int(value)
        if lowest <= number <= highest:
            return number
    raise invalid(name, value, allowed, location_type="field")


def choice_of(fields: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """Return a field's word, the first of the choices when it is missing. Raises ApiError."""
    value = fields.get(name, choices[0])
    if value not in choices:
        raise invalid(name, value, ", ".join(choices), location_type="field")
    return str(value)


def page_token(eta_us: int, name: str) -> str:
    """Return the token of the page that begins after this place."""
    return base64.urlsafe_b64encode(f"{eta_us}/{name}".encode()).decode().rstrip("=")


def page_start(token: str | None) -> tuple[int, str] | None:
    """Return the place after which a page begins, None for the first page. Raises ApiError."""
    if not token:
        return None
    try:
        match = _TOKEN.fullmatch(
            base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode("ascii")
        )
    except (binascii.Error, UnicodeDecodeError, ValueError):
        match = None
    if match is None or not TASK_NAME.fullmatch(match[2]):
        raise invalid("pageToken", token, "the nextPageToken of the page before, or nothing")
    return int(match[1]), match[2]


def object_of(fields: Mapping[str, Any], name: str, location: str, allowed: str) -> dict[str, Any]:
    """Return a field's object. Raises ApiError."""
    value = fields.get(name)
    if value is None:
        raise required(location, allowed, location_type="field")
    if not isinstance(value, dict):
        raise invalid(location, value, allowed, location_type="field")
    return value
