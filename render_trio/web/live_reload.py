"""Live reload: open pages are reloaded when the process behind them is replaced, for authors of resources.

Each process has a token of its own. A page's script listens to an event stream, which breaks off when the process ends
and is opened again by the browser; another token means that the code has changed.
"""

from __future__ import annotations

from quart import Blueprint, Response, request
from quart_trio import QuartTrio

from render_trio.web.access.clients import name_of
from render_trio.web.openapi.operation import EVENTS, describe
from render_trio.web.server_sent_events import PING_SECONDS, Listeners, event

ADDRESS = "/live-reload"
RETRY_MILLISECONDS = 300  # after which the browser opens the stream again: an author waits for it


def enable(app: QuartTrio, token: str, listeners: Listeners) -> None:
    """Add the event stream to an application, and the script to its pages (templates/web/base.html)."""
    part = Blueprint("live_reload", __name__)

    @part.get(ADDRESS)
    @describe("The token of this process, as an event", {200: {EVENTS: ""}})
    async def stream() -> Response:
        pending = [f"retry: {RETRY_MILLISECONDS}\n\n".encode() + event("process", token)]

        async def next_event() -> bytes:
            if pending:
                return pending.pop()
            await listeners.pause(PING_SECONDS / 2)
            return b""

        return listeners.respond(next_event, name_of(request.scope))

    app.register_blueprint(part)
    app.jinja_env.globals["live_reload"] = ADDRESS
