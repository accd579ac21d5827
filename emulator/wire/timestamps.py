"""Times in JSON: RFC 3339 in UTC with microseconds, the precision that the fencing of leases needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from emulator.stores.interface import SECOND
from emulator.wire.errors import invalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII
)
TIME_ALLOWED = "a time such as 2030-01-31T12:00:00.123456Z"


def time_text(microseconds: int) -> str:
    """Return a time in RFC 3339, with six decimal places, or none for a whole second."""
    moment = EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="microseconds" if microseconds % SECOND else "seconds").replace("+00:00", "Z")


def time_of(fields: Mapping[str, Any], name: str, location: str) -> int | None:
    """Return the time in a field, in µs since the epoch (nanoseconds are truncated), or None if it is missing.

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
