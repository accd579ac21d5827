"""The value of a reply → JSON, indented like that of Google's APIs unless the call has `prettyPrint=false`."""

from __future__ import annotations

import msgspec

from emulator.wire.calls import Reply
from emulator.wire.errors import ApiError, ErrorStyle

JSON = (("Content-Type", "application/json; charset=UTF-8"), ("Cache-Control", "no-store"))
_encoder = msgspec.json.Encoder()


def encoded(reply: Reply, *, indented: bool = True) -> Reply:
    """Return the reply with its value encoded as its body."""
    if reply.value is None:
        return reply
    body = _encoder.encode(reply.value)
    if indented:
        body = msgspec.json.format(body, indent=1)
    return Reply(reply.status, None, (*JSON, *reply.headers), body)


def error_reply(error: ApiError, style: ErrorStyle) -> Reply:
    """Return the reply for an error."""
    return Reply(error.status, style(error), error.reply_headers)
