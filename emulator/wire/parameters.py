"""Values of a URL or a body → validated values. The limits are those of the documentation of Task Queue v1beta2."""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from emulator.stores.interface import QueueKey
from emulator.wire.calls import Call
from emulator.wire.errors import ApiError, invalid, required

PAYLOAD_BYTES = 1024 * 1024
MAX_LEASE_SECONDS = 604_800
MAX_TASKS = 1000
TAG_CHARACTERS = 500
ETA_AHEAD_DAYS = 30
LEASE_REPLY_BYTES = 32 * 1024 * 1024
TASK_BYTES = 4 * 1024  # upper bound for a task in a reply without its payload: names, tag, times, indentation
# Base64 of the largest payload, the JSON around it, and room for fields that are ignored.
BODY_BYTES = PAYLOAD_BYTES * 4 // 3 + 64 * 1024

TASK_NAME = re.compile(r"[a-zA-Z0-9_-]{1,500}")
QUEUE_NAME = re.compile(r"[a-zA-Z0-9-]{1,100}")
LEGACY_QUEUE_NAME = re.compile(r"[a-zA-Z0-9_-]{1,100}")
PROJECT_NAME = re.compile(r"[a-zA-Z0-9.:_-]{1,100}")
PROJECT_PREFIX = re.compile(r"^[a-z]+~")
_STANDARD_ALPHABET = str.maketrans("-_", "+/")
_URL_SAFE_ALPHABET = str.maketrans("+/", "-_")
# Two exponent digits are enough for any number in range, and keep the conversion cheap.
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_TRUE, _FALSE = ("true", "t", "yes", "y", "on", "1"), ("false", "f", "no", "n", "off", "0")
# The last digits of Base64 whose unused bits are 0, by the number of digits in the last group.
_LAST_DIGITS = {0: "", 2: "AQgw", 3: "AEIMQUYcgkosw048"}
_LINE_BREAKS = re.compile(r"[ \t\r\n]+")


def queue_key(project: str, queue: str, *, legacy: bool = False) -> QueueKey:
    """Return the queue of a path, with the prefix of the project (`s~`) removed. Raises ApiError.

    Names that older clients use (`legacy`) may contain underscores.
    """
    plain = PROJECT_PREFIX.sub("", project, count=1)
    if not PROJECT_NAME.fullmatch(plain):
        raise invalid("project", project, "1 to 100 letters, digits, '.', ':', '_' and '-'")
    if not (LEGACY_QUEUE_NAME if legacy else QUEUE_NAME).fullmatch(queue):
        raise invalid("taskqueue", queue, "1 to 100 letters, digits and '-'")
    return QueueKey(plain, queue)


def task_name(name: object, location: str = "task") -> str:
    """Return the ID of a task. Raises ApiError if it is not valid."""
    if not isinstance(name, str) or not TASK_NAME.fullmatch(name):
        raise invalid(location, name, "1 to 500 letters, digits, '_' and '-'")
    return name


def whole_number(value: object) -> int | None:
    """Return a whole number from JSON or a query, None if it isn't one.

    As in the JSON mapping of proto3, a number may be a string, and may have a fraction of zero or an exponent: `10`,
    `"10"`, `10.0` and `1e1` are the same.
    """
    if isinstance(value, str):
        if len(value) <= 18 and value.isascii() and value.isdigit():
            return int(value)
        if not _NUMBER.fullmatch(value):
            return None
        number = Decimal(value)
        return int(number) if number == number.to_integral_value() else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def integer(arguments: Mapping[str, str], name: str, lowest: int, highest: int) -> int:
    """Return an integer from the query. Raises ApiError if it is missing or out of bounds."""
    allowed = f"a whole number from {lowest} to {highest}"
    text = arguments.get(name)
    if text is None:
        raise required(name, allowed)
    number = whole_number(text)
    if number is None or not lowest <= number <= highest:
        raise invalid(name, text, allowed)
    return number


def payload_bytes(count: int) -> int:
    """Return the limit for the payloads (bytes) of a lease of `count` tasks, so that its reply is within 32 MiB."""
    return LEASE_REPLY_BYTES - count * TASK_BYTES


def flag(arguments: Mapping[str, str], name: str) -> bool:
    """Return a boolean from the query, False if it is missing. Raises ApiError."""
    text = arguments.get(name, "false").lower()
    if text not in _TRUE and text not in _FALSE:
        raise invalid(name, text, "true, false, yes, no, 1, 0")
    return text in _TRUE


def tag(value: object, location: str = "tag") -> str | None:
    """Return the tag, or None if there is none. Raises ApiError."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > TAG_CHARACTERS or not value.isprintable():
        raise invalid(location, value, f"printable text of up to {TAG_CHARACTERS} characters")
    return value


def body_object(call: Call) -> dict[str, Any]:
    """Return the JSON object in the body. Raises ApiError."""
    if not call.body:
        if "content-length" in call.headers or "transfer-encoding" in call.headers:
            raise ApiError(400, "the body is empty; send a JSON object", "parseError")
        raise ApiError(411, "Content-Length is missing; send a JSON object as the body, with its length")
    try:
        value = msgspec.json.decode(call.body.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is not valid JSON: {error}", "parseError") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body is not a JSON object; send an object, {...}", "parseError")
    return value


def standard_base64(text: str) -> str:
    """Return Base64 of either alphabet, padded or not, in the standard alphabet with padding."""
    text = text.rstrip("=").translate(_STANDARD_ALPHABET)
    return text + "=" * (-len(text) % 4)


def payload_of(payload: object, location: str) -> str:
    """Return the payload to store: valid Base64, in either alphabet, padded or not, exactly as it was sent.

    Text that only a lenient decoder accepts (unused bits that are not 0, wrong padding, line breaks, mixed alphabets)
    becomes the padded Base64 of the bytes that such a decoder returns, so that strict decoders can read it: `asdf123`
    is stored as `asdf120=`. Raises ApiError for other characters, for a single digit in the last group, and above
    1 MiB (decoded).
    """
    allowed = f"Base64, standard or URL-safe, of up to {PAYLOAD_BYTES} bytes"
    if not isinstance(payload, str):
        raise invalid(location, payload, allowed, location_type="field")
    content = _decoded(payload)
    compact = payload
    if content is None:
        compact = _LINE_BREAKS.sub("", payload)
        content = _decoded(compact)
    if content is None:
        raise invalid(location, payload, allowed, location_type="field")
    if len(content) > PAYLOAD_BYTES:
        message = f"{location} contains {len(content)} bytes; allowed: up to {PAYLOAD_BYTES}"
        raise ApiError(400, message, "invalidParameter", location, "field")
    if _is_exact(compact):
        return compact
    canonical = binascii.b2a_base64(content, newline=False).decode("ascii")
    return canonical.translate(_URL_SAFE_ALPHABET) if _is_url_safe(compact) else canonical


def _decoded(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(standard_base64(text), strict_mode=True)
    except (binascii.Error, ValueError):
        return None


def _is_exact(text: str) -> bool:
    """Return whether Base64 that decodes is also valid: in one alphabet, with correct padding and unused bits of 0."""
    digits = text.rstrip("=")
    last_group = len(digits) % 4
    return (
        len(text) - len(digits) in (0, -last_group % 4)
        and (last_group == 0 or digits[-1] in _LAST_DIGITS[last_group])
        and (_is_url_safe(text) or not ("-" in text or "_" in text))
    )


def _is_url_safe(text: str) -> bool:
    return ("-" in text or "_" in text) and not ("+" in text or "/" in text)
