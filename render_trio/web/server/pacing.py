"""One request begins at a time, and the probes pass by: a crowd that comes at once must not look like a stall.

Trio runs every task that can run before it looks at the network again. If hundreds of requests begin in one such
round, each with its milliseconds of Python, an orchestrator's question waits for all of them, and it has a deadline.
So requests pass one by one, each in a round of its own; between two rounds, whatever came meanwhile gets its turn.
"""

from __future__ import annotations

import trio

from render_trio.web.server.request_limits import Asgi, Message, Receive, Send

PASS_BY = frozenset({"/health", "/_ah/health", "/livez", "/readyz"})


def taking_turns(app: Asgi) -> Asgi:
    """Return the application behind a turnstile."""
    turnstile = trio.Lock()  # its line is first come, first served

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PASS_BY:
            async with turnstile:
                await trio.lowlevel.checkpoint()
        await app(scope, receive, send)

    return serve
