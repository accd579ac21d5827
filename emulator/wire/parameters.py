"""Values of a URL or a body → validated values. The limits are those of the documentation of Task Queue v1beta2."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
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
PROJECT_NAME = re.compile(r"[a-zA-Z0-9.:_-]{1,100}")
PROJECT_PREFIX = re.compile(r"^[a-z]+~")
_STANDARD_ALPHABET = str.maketrans("-_", "+/")


def queue_key(project: str, queue: str) -> QueueKey:
    """Return the queue of a path, with the prefix of the project (`s~`) removed. Raises ApiError."""
    plain = PROJECT_PREFIX.sub("", project, count=1)
    if not PROJECT_NAME.fullmatch(plain):
        raise invalid("project", project, "1 to 100 letters, digits, '.', ':', '_' and '-'")
    if not QUEUE_NAME.fullmatch(queue):
        raise invalid("taskqueue", queue, "1 to 100 letters, digits and '-'")
    return QueueKey(plain, queue)


def task_name(name: object, location: str = "task") -> str:
    """Return the ID of a task. Raises ApiError if it is not valid."""
    if not isinstance(name, str) or not TASK_NAME.fullmatch(name):
        raise invalid(location, name, "1 to 500 letters, digits, '_' and '-'")
    return name


def integer(arguments: Mapping[str, str], name: str, lowest: int, highest: int) -> int:
    """Return an integer from the query. Raises ApiError if it is missing or out of bounds."""
    allowed = f"a whole number from {lowest} to {highest}"
    text = arguments.get(name)
    if text is None:
        raise required(name, allowed)
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not lowest <= int(text) <= highest:
        raise invalid(name, text, allowed)
    return int(text)


def payload_bytes(count: int) -> int:
    """Return the limit for the payloads (bytes) of a lease of `count` tasks, so that its reply is within 32 MiB."""
    return LEASE_REPLY_BYTES - count * TASK_BYTES


def flag(arguments: Mapping[str, str], name: str) -> bool:
    """Return a boolean from the query, False if it is missing. It is sent as the text "true" or "false"."""
    text = arguments.get(name, "false").lower()
    if text not in ("true", "false"):
        raise invalid(name, text, "true, false")
    return text == "true"


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
    encoding = call.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise invalid("Content-Encoding", encoding, "identity: send the body uncompressed", location_type="header")
    try:
        value = msgspec.json.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is not valid JSON: {error}", "parseError") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body is not a JSON object; send an object, {...}", "parseError")
    return value


def standard_base64(text: str) -> str:
    """Return Base64 of either alphabet, padded or not, in the standard alphabet with padding."""
    text = text.rstrip("=").translate(_STANDARD_ALPHABET)
    return text + "=" * (-len(text) % 4)


def check_payload(payload: object, location: str) -> None:
    """Raise ApiError unless the payload is Base64, in either alphabet, padded or not, of up to 1 MiB decoded."""
    allowed = f"Base64, standard or URL-safe, of up to {PAYLOAD_BYTES} bytes"
    if not isinstance(payload, str):
        raise invalid(location, payload, allowed, location_type="field")
    try:
        size = len(binascii.a2b_base64(standard_base64(payload), strict_mode=True))
    except (binascii.Error, ValueError):
        raise invalid(location, payload, allowed, location_type="field") from None
    if size > PAYLOAD_BYTES:
        message = f"{location} contains {size} bytes; allowed: up to {PAYLOAD_BYTES}"
        raise ApiError(400, message, "invalidParameter", location, "field")
