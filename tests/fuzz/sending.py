"""Requests and replies: sent over a real socket as they are, without a client that would correct them."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass, field

REPLY_SECONDS = 20.0  # no request here waits for anything: a reply that takes longer is a hang
STREAM = "text/event-stream"  # never ends; only its head is read
SHOWN_BYTES = 500  # of a body or a target, in the report of a failure
MARKUP = "<script>fuzz"  # part of many values: it must never be part of a page
HEADER = "X-Fuzz"  # what an injected line would add to a reply


@dataclass(frozen=True, repr=False)
class Sent:
    """A request. `target` is a path and a query, in ASCII without spaces."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def __repr__(self) -> str:
        body = "" if self.body is None else f" {len(self.body)} bytes {self.body[:SHOWN_BYTES]!r}"
        return f"{self.method} {self.target[:SHOWN_BYTES]} {dict(self.headers)}{body}"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes = field(repr=False)

    @property
    def content_type(self) -> str:
        return self.headers.get_content_type() if "Content-Type" in self.headers else ""


class Sender:
    """Sends requests to one server, on one connection as long as the server keeps it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=REPLY_SECONDS)

    def send(self, sent: Sent) -> Answer:
        """Return the reply. A connection that the server closed while it was idle is opened again."""
        try:
            return self._send(sent)
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()
            return self._send(sent)

    def _send(self, sent: Sent) -> Answer:
        named = any(name == "Host" for name, _ in sent.headers)
        self._connection.putrequest(sent.method, sent.target, skip_host=named, skip_accept_encoding=True)
        for name, value in sent.headers:
            self._connection.putheader(name, value.encode("latin-1"))
        if sent.body is not None:
            self._connection.putheader("Content-Length", str(len(sent.body)))
        self._connection.endheaders(sent.body)
        reply = self._connection.getresponse()
        streams = reply.headers.get_content_type() == STREAM and reply.status == 200
        answer = Answer(reply.status, reply.headers, b"" if streams else reply.read())
        if streams:
            self._connection.close()
        return answer

    def close(self) -> None:
        self._connection.close()


def check_harmless(sent: Sent, answer: Answer) -> None:
    """Check what holds for every reply, whatever was sent.

    - A server error means that an input got past the validation. The one exception is a 503 that says when to come
      back: the service is busy.
    - Nothing that a client sends becomes a line of the head, or markup of a page.
    """
    if answer.status == 503:
        assert answer.headers["Retry-After"], sent
    else:
        assert answer.status < 500, (sent, answer.body[:500])
    assert HEADER not in answer.headers, sent
    for value in answer.headers.values():
        assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value), (sent, value)
    if answer.content_type in ("text/html", "image/svg+xml"):
        assert MARKUP.encode() not in answer.body, sent
