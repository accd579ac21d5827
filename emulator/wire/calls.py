"""The argument and the result of a verb: a call and its reply, independent of any web framework.

An API is a list of routes. A route maps an HTTP method and a path to a verb, an ordinary
`async def verb(call: Call) -> Reply`, which the web server, a batch or a test can call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """One request with its complete body.

    `path` is percent-encoded, as it was sent; `parameters` are the decoded parts that match the route.
    `headers` have lower-case names. `root` is the root URL that the client used, with a trailing slash. `client` is
    the IP address of the client; `holder` the holder of its token, None if the token wasn't checked yet.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    root: str = "/"
    parameters: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    holder: str | None = None

    def with_body(self, body: bytes) -> Call:
        """Return the call with this body. `dataclasses.replace` takes three times as long, for every insert."""
        return Call(
            self.method,
            self.path,
            self.query,
            self.headers,
            body,
            self.root,
            self.parameters,
            self.client,
            self.holder,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a call: `value` is encoded as JSON; if it is None, `body` is sent unchanged."""

    status: int = 200
    value: object = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Verb = Callable[[Call], Awaitable[Reply]]

NO_CONTENT = Reply(204)


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTP method and a path template → a verb.

    A segment `{name}` of the template matches any one segment; the last segment may end with `:verb`. `id` is the
    method ID in the discovery document, empty for routes outside the APIs. With `query_as_form`, a body that is
    a form contains parameters of the query. A route that `is_open` needs no token. One that `is_probe` is open too, and
    answered under every host name.
    """

    id: str
    method: str
    path: str
    verb: Verb
    query_as_form: bool = False
    is_open: bool = False
    is_probe: bool = False
