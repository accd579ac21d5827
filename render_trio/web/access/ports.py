"""The paths that are for operators: with a separate port for them, the public port doesn't have these."""

from __future__ import annotations

from render_trio.web.server.admission import Refusal
from render_trio.web.server.request_limits import Message

OPERATOR_PATHS = ("/status", "/metrics", "/version", "/health", "/_ah/health")


def check_public(scope: Message) -> Refusal | None:
    """Return a refusal for an operator's path, and note in the scope that pages must not link to these."""
    scope["operator"] = False
    path: str = scope["path"]
    if any(path == operator or path.startswith(f"{operator}/") for operator in OPERATOR_PATHS):
        return Refusal(404, "not_found", "this is served on the operator's port only")
    return None
