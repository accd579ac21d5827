"""Several calls in one request: `POST /batch` with a multipart/mixed body of application/http parts.

The calls are executed one after another. An error in one part affects only the reply to that part. All calls use the
token of the batch, so that a batch is one attempt to guess a token, not a thousand.
"""

from __future__ import annotations

import dataclasses
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

import trio

from emulator.wire import replies
from emulator.wire.bodies import uncompressed
from emulator.wire.calls import Call, Reply, Route
from emulator.wire.dispatch import parse_query
from emulator.wire.errors import ApiError, by_reason, invalid, shown
from emulator.wire.parameters import BODY_BYTES

MAX_CALLS = 1000
BATCH_BYTES = 16 * 1024 * 1024
REPLY_BYTES = 64 * 1024 * 1024  # total size of the replies after which no more calls are executed
PATH = "/batch"
# Prefixes of the batch's headers that its calls do not inherit.
OWN_HEADERS = ("content-", "prefer", "x-http-method-override", "transfer-encoding", "expect")
BOUNDARY_CHARACTERS = 200
PART_HEAD_BYTES = 16 * 1024
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a batch: its headers, and the HTTP request that it contains."""

    headers: Message
    content: bytes


def routes(answer: Callable[[Call], Awaitable[Reply]]) -> list[Route]:
    """Return the routes of the batch endpoint; `answer` executes a call."""

    async def batch(call: Call) -> Reply:
        parts = _parts(call)
        boundary = f"batch_{uuid.uuid4().hex}"
        lines: list[bytes] = []
        size = 0
        for part in parts:
            reply = await _answer_part(call, part, answer) if size <= REPLY_BYTES else _skipped()
            size += len(reply.body)
            await trio.lowlevel.checkpoint()  # inline store calls have none, and other requests must not be blocked
            lines.append(f"--{boundary}\r\nContent-Type: application/http\r\n{_reply_id(part)}\r\n".encode())
            lines.append(_http(reply))
            lines.append(b"\r\n")
        lines.append(f"--{boundary}--\r\n".encode())
        kind = f"multipart/mixed; boundary={boundary}"
        return Reply(200, None, (("Content-Type", kind), ("Cache-Control", "no-store")), b"".join(lines))

    # Newer clients use the second path.
    return [Route("", "POST", path, batch) for path in (PATH, f"{PATH}/{{api}}/{{version}}")]


def _skipped() -> Reply:
    """Return the reply to a part that was not executed."""
    message = f"not executed: the previous replies exceed {REPLY_BYTES} bytes in total; send this call in another batch"
    return replies.encoded(replies.error_reply(ApiError(413, message), by_reason))


def _parts(call: Call) -> list[_Part]:
    """Return the parts of a batch. Raises ApiError.

    The standard library's parser is not used, because it works line by line: a body of many empty lines would block
    the event loop for seconds.
    """
    kind = call.headers.get("content-type", "")
    described = Message()
    described["Content-Type"] = kind
    boundary = str(described.get_boundary() or "")
    if described.get_content_type() != "multipart/mixed" or not 0 < len(boundary) <= BOUNDARY_CHARACTERS:
        allowed = f"multipart/mixed with a boundary of up to {BOUNDARY_CHARACTERS} characters"
        raise invalid("Content-Type", kind, allowed, location_type="header")
    line = rb"\r?\n--" + re.escape(boundary.encode("utf-8", "replace"))
    inside = re.split(line + rb"--[ \t]*(?:\r?\n|\Z)", b"\n" + call.body, maxsplit=1)[0]
    # The text before the first delimiter is not a part.
    pieces = re.split(line + rb"[ \t]*(?=\r?\n)", inside, maxsplit=MAX_CALLS + 1)[1:]
    if not pieces:
        raise ApiError(400, "the batch has no parts; send one application/http part for each call", "parseError")
    if len(pieces) > MAX_CALLS:
        raise ApiError(400, f"the batch has more than {MAX_CALLS} calls; send fewer", "invalid")
    return [_part(piece) for piece in pieces]


def _part(piece: bytes) -> _Part:
    """Return a part from the text after its delimiter: the rest of that line, headers, an empty line, content."""
    head, content = _split_head(piece)
    return _Part(_headers(head), content)


def _split_head(text: bytes) -> tuple[bytes, bytes]:
    """Return the text before and after the first empty line."""
    head, *rest = _BLANK_LINE.split(text, maxsplit=1)
    return head, rest[0] if rest else b""


def _headers(head: bytes) -> Message:
    """Return the headers; none if they are too large."""
    return BytesHeaderParser().parsebytes(head.lstrip(b"\r\n") if len(head) <= PART_HEAD_BYTES else b"")


async def _answer_part(outer: Call, part: _Part, answer: Callable[[Call], Awaitable[Reply]]) -> Reply:
    try:
        call = _call(outer, part)
    except ApiError as error:
        return replies.encoded(replies.error_reply(error, by_reason))
    return await answer(call)


def _call(outer: Call, part: _Part) -> Call:
    """Return the call in a part. Raises ApiError."""
    kind = part.headers.get_content_type()
    if kind != "application/http":
        raise ApiError(400, f"the part is {shown(kind)}; allowed: application/http", "invalid")
    head, body = _split_head(part.content.lstrip(b"\r\n"))
    first, _, fields = head.partition(b"\n")
    line = first.decode("ascii", "replace").strip()
    words = line.split()
    if len(words) not in (2, 3):
        raise ApiError(400, f"the part begins with {shown(line)}; allowed: METHOD /path HTTP/1.1", "parseError")
    try:
        target = urlsplit(words[1])
    except ValueError:
        raise ApiError(400, f"the URL of the part is {shown(words[1])}; allowed: /path?query", "invalid") from None
    # A batch in a batch would multiply the limits, however its path is written.
    if not target.path.startswith("/") or re.match(rf"/*{PATH}", unquote(target.path)):
        raise ApiError(400, f"the path of the part is {shown(target.path)}; allowed: any path except {PATH}", "invalid")
    if len(body) > BODY_BYTES:
        raise ApiError(413, f"the body of the part is larger than {BODY_BYTES} bytes; send a smaller one")
    inherited = {name: value for name, value in outer.headers.items() if not name.startswith(OWN_HEADERS)}
    given = reversed(_headers(fields).items())
    own = {name.lower(): str(value) for name, value in given if name.lower() != "prefer"}
    if own.get("authorization", outer.headers.get("authorization")) != outer.headers.get("authorization"):
        raise ApiError(
            403, "the part has an Authorization of its own; send it in another batch, whose head contains that token"
        )
    if "content-encoding" in own:
        body = uncompressed(body, own["content-encoding"], BODY_BYTES)
    return dataclasses.replace(
        outer,
        method=words[0].upper(),
        path=target.path,
        query=parse_query(target.query.encode()) if target.query else {},
        headers=inherited | {"content-length": str(len(body))} | own,
        body=body,
        parameters={},
    )


def _reply_id(part: _Part) -> str:
    """Return the header that identifies the part."""
    given = "".join(character for character in str(part.headers.get("Content-ID", "")) if character.isprintable())
    given = given.strip().removeprefix("<").removesuffix(">")
    return f"Content-ID: <response-{given}>\r\n" if given else ""


def _http(reply: Reply) -> bytes:
    """Return a reply as an HTTP message."""
    head = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    head += [f"{name}: {value}" for name, value in reply.headers]
    head.append(f"Content-Length: {len(reply.body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + reply.body
