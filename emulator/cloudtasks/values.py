"""Fields of a JSON object or a query → validated values, in the formats of newer Google APIs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from emulator.wire.errors import invalid, required

_DURATION = re.compile(r"(\d{1,9})(?:\.\d{1,9})?s", re.ASCII)


def duration_of(fields: Mapping[str, Any], name: str, max_seconds: int) -> int:
    """Return a duration such as `3.5s` in whole seconds (truncated). Raises ApiError."""
    allowed = f"seconds from 0s to {max_seconds}s, such as 3.5s"
    value = fields.get(name)
    if value is None:
        raise required(name, allowed, location_type="field")
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) > max_seconds:
        raise invalid(name, value, allowed, location_type="field")
    return int(match[1])


def integer_of(fields: Mapping[str, Any], name: str, lowest: int, highest: int, default: int | None = None) -> int:
    """Return an integer, which may also be a string of digits. Raises ApiError."""
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
    """Return one of the choices; the first one is the default. Raises ApiError."""
    value = fields.get(name, choices[0])
    if value not in choices:
        raise invalid(name, value, ", ".join(choices), location_type="field")
    return str(value)


def object_of(fields: Mapping[str, Any], name: str, location: str, allowed: str) -> dict[str, Any]:
    """Return an object; `location` is its name in errors. Raises ApiError if it is missing."""
    value = fields.get(name)
    if value is None:
        raise required(location, allowed, location_type="field")
    if not isinstance(value, dict):
        raise invalid(location, value, allowed, location_type="field")
    return value
