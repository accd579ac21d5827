"""A path of the application → the address at which clients find it, under the path that a reverse proxy serves.

Every address that leaves the service is made here: links, redirects, scripts, images, JSON, events, OpenAPI.
"""

from __future__ import annotations

from contextvars import ContextVar
from urllib.parse import urlencode

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from quart_trio import QuartTrio

_root: ContextVar[str] = ContextVar("root_path", default="")


def root_path() -> str:
    """Return the path under which the current request reached the service, such as "/print"; usually ""."""
    return _root.get()


def address(path: str, query: str = "", **more: str) -> str:
    """Return the address of a path such as "/tasks/1", with a query string and further pairs.

    The path is percent-encoded already; it may contain a query string if no other is passed.
    """
    full = "&".join(part for part in (query, urlencode(more)) if part)
    return f"{root_path()}{path}{'?' if full else ''}{full}"


class Application(QuartTrio):
    """A Quart application whose addresses begin with the root path of each request.

    It is called with the path that remains after the root path. Quart requires both, as ASGI does.
    """

    async def asgi_app(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve a request. Its task, and those that it starts, such as an event stream, have its root path."""
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            _root.set(root)
            scope = scope.copy()
            scope["path"] = root + scope["path"]
        await super().asgi_app(scope, receive, send)
