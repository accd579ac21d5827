"""Starts requests one at a time, except the probes, so that a burst of requests doesn't look like a stall.

Trio runs every task that is ready before it polls the network again. If hundreds of requests start in one such pass,
each running Python for some milliseconds, an orchestrator's probe waits for all of them and may exceed its deadline.
Therefore each request starts in a pass of its own, and whatever has arrived meanwhile runs in between.
"""

from __future__ import annotations

import trio

from render_trio.web.server.request_limits import Asgi, Message, Receive, Send

UNPACED = frozenset({"/health", "/_ah/health", "/livez", "/readyz"})


def paced(app: Asgi) -> Asgi:
    """Return the application with its requests started one at a time, in the order in which they arrived."""
    lock = trio.Lock()  # fair: first come, first served

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in UNPACED:
            async with lock:
                await trio.lowlevel.checkpoint()
        await app(scope, receive, send)

    return serve
