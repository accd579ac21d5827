"""What a verb is given and gives: a call and its reply, free of any web framework.

An API of api_data/ is a list of routes; a route leads from a method and an address to a verb, an ordinary
`async def verb(call: Call) -> Reply`. Verbs can be called by the web server, by a batch, or by a test.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Call:
    """One request, its body read whole.

    `path` is as it was sent, percent-encoded; `parameters` are what the route found in it, decoded.
    `headers` have lower-case names. `root` is the address that the client used, ending in a slash.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    root: str = "/"
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: `value` becomes JSON; None, with `body`, is sent as it is."""

    status: int = 200
    value: object = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Verb = Callable[[Call], Awaitable[Reply]]

NO_CONTENT = Reply(204)


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a verb: `path` is a template of segments, `{name}` standing for any one of them.

    The last may end in `:verb`. `id` is the method's name in the discovery document, empty for a route that
    belongs to none.
    """

    id: str
    method: str
    path: str
    verb: Verb
