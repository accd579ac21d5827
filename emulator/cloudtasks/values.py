"""Fields of a JSON object or a query → validated values, as in the JSON mapping of proto3.

The mapping accepts several forms of the same value: a field in camelCase or in snake_case, null for an unset field, a
number as a string, the name or the number of an enum value.
https://protobuf.dev/programming-guides/json/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from emulator.wire.calls import Call
from emulator.wire.errors import ApiError, invalid, required
from emulator.wire.parameters import body_object, whole_number

_DURATION = re.compile(r"([0-9]{1,12})(?:\.[0-9]{1,9})?s", re.ASCII)
_AFTER_UNDERSCORE = re.compile(r"_([a-z0-9])", re.ASCII)


def camel_case(name: str) -> str:
    """Return the JSON name of a field: `lease_duration` becomes `leaseDuration`."""
    return _AFTER_UNDERSCORE.sub(lambda match: match[1].upper(), name) if "_" in name else name


def message_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message with the JSON names of its fields, without fields that are null. Raises ApiError."""
    message: dict[str, Any] = {}
    for written, value in fields.items():
        if value is None:
            continue
        name = camel_case(written)
        if name in message:
            raise ApiError(
                400, f"{name} is set twice, also as {written}; set it once", "invalidParameter", name, "field"
            )
        message[name] = value
    return message


def body_of(call: Call) -> dict[str, Any]:
    """Return the message in the body of a call. Raises ApiError."""
    return message_of(body_object(call))


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
    """Return an integer. Raises ApiError."""
    allowed = f"a whole number from {lowest} to {highest}"
    value = fields.get(name)
    if value is None:
        if default is not None:
            return default
        raise required(name, allowed, location_type="field")
    number = whole_number(value)
    if number is None or not lowest <= number <= highest:
        raise invalid(name, value, allowed, location_type="field")
    return number


def choice_of(fields: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """Return one of the values of an enum, in the order of their numbers; the first one is the default.

    Raises ApiError.
    """
    value = fields.get(name)
    if value is None:
        return choices[0]
    if value in choices:
        return str(value)
    number = whole_number(value)
    if number is None or not 0 <= number < len(choices):
        allowed = ", ".join(f"{choice} ({number})" for number, choice in enumerate(choices))
        raise invalid(name, value, allowed, location_type="field")
    return choices[number]


def object_of(fields: Mapping[str, Any], name: str, location: str, allowed: str) -> dict[str, Any]:
    """Return a message in a field; `location` is its name in errors. Raises ApiError if it is missing."""
    value = fields.get(name)
    if value is None:
        raise required(location, allowed, location_type="field")
    if not isinstance(value, dict):
        raise invalid(location, value, allowed, location_type="field")
    return message_of(value)
