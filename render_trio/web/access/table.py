"""Who may do what on the web: every route with the role that it needs and the port that serves it.

| role | who |
|---|---|
| visitor | anyone who reaches the port |
| program | a client with a token from WEB_TOKEN or WEB_TOKEN_FILE; anyone, while no such token is configured |
| operator | anyone who reaches the operator port; a restart also needs ADMIN_TOKEN, in its form |

The table is the only place that decides. A test compares it with the application's routes, so none can be missing, and
docs/reference/access.md is generated from it. A request is matched by the library that the application uses itself:
there is no address that one of them recognises and the other doesn't.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlparse

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule

Role = Literal["visitor", "program", "operator"]
Port = Literal["public", "operator", "both"]


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path, written as in the application; who may use it, and on which port.

    GET includes HEAD. A path on the operator port is on the public port as well if there is no OPERATOR_PORT.
    """

    method: str
    path: str
    role: Role
    port: Port


TABLE = (
    Route("GET", "/", "visitor", "public"),
    Route("GET", "/thumbnails/<slug>.png", "visitor", "public"),
    Route("GET", "/resources/<slug>", "visitor", "public"),
    Route("GET", "/resources/<slug>.pdf", "visitor", "public"),
    Route("GET", "/resources/<slug>/preview", "visitor", "public"),
    Route("GET", "/resources/<slug>/pages/<int:number>.png", "visitor", "public"),
    Route("POST", "/resources/<slug>/tasks", "visitor", "public"),
    Route("GET", "/tasks/<task_id>", "visitor", "public"),
    Route("GET", "/tasks/<task_id>/document", "visitor", "public"),
    Route("GET", "/tasks/<task_id>/events", "visitor", "public"),
    Route("GET", "/openapi.json", "visitor", "public"),
    Route("POST", "/render", "program", "public"),
    Route("POST", "/tasks", "program", "public"),
    Route("GET", "/static/<path:name>", "visitor", "both"),
    Route("GET", "/livez", "visitor", "both"),
    Route("GET", "/readyz", "visitor", "both"),
    Route("GET", "/health", "operator", "operator"),
    Route("GET", "/_ah/health", "operator", "operator"),
    Route("GET", "/version", "operator", "operator"),
    Route("GET", "/metrics", "operator", "operator"),
    Route("GET", "/status", "operator", "operator"),
    Route("GET", "/status/events", "operator", "operator"),
    Route("POST", "/status/restart", "operator", "operator"),
)
_MAP = Map([Rule(route.path, methods=[route.method], endpoint=route) for route in TABLE])


def route_of(scope: dict[str, Any]) -> Route | None:
    """Return the route of a request, given its ASGI scope; None if the application answers it with an error itself.

    These are an unknown path, a method that the path doesn't have, and a path with superfluous slashes.
    """
    adapter = _MAP.bind("localhost", path_info=_path(scope))
    try:
        route, _ = adapter.match(method=scope["method"])
    except (HTTPException, RequestRedirect):
        return None
    return route if isinstance(route, Route) else None


def is_served(route: Route, port: Port) -> bool:
    """Return whether a port serves the route. A service with a single port serves `both` on it."""
    return "both" in (route.port, port) or route.port == port


def _path(scope: dict[str, Any]) -> str:
    """Return the path inside the application, as Quart computes it. The root path has been removed from it already."""
    path: str = scope["path"]
    if not path.startswith("/"):
        path = urlparse(path).path  # as in Quart: urlsplit would not cut off parameters after a semicolon
    return path or "/"
