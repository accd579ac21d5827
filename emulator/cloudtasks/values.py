"""How the newer APIs write values in JSON, read and written: times, durations, page tokens, whole numbers.

Times are RFC 3339 in UTC with microseconds, which is what fences a lease; durations are seconds with an `s`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from emulator.wire.errors import invalid, required

_DURATION = re.compile(r"(\d{1,9})(?:\.\d{1,9})?s", re.ASCII)


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


def object_of(fields: Mapping[str, Any], name: str, location: str, allowed: str) -> dict[str, Any]:
    """Return a field's object. Raises ApiError."""
    value = fields.get(name)
    if value is None:
        raise required(location, allowed, location_type="field")
    if not isinstance(value, dict):
        raise invalid(location, value, allowed, location_type="field")
    return value
