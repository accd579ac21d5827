"""The web server as a supervised child: it regularly sends a request to itself, to verify that it really serves.

A server that runs but answers no request is useless. Its heartbeat is therefore an answered request; when there is
none for SERVE_BUDGET, the watchdog replaces the server.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import structlog
import trio

from render_trio.supervision.supervisor import Child, Heartbeat, Supervisor
from render_trio.web.server.request_limits import Asgi
from render_trio.web.server.server import serve

CHECK_INTERVAL = 5.0  # s
CHECK_TIMEOUT = 10.0  # s
SERVE_BUDGET = 40.0  # s without an answer after which the server is replaced
# A server that never answers is replaced about every 45 s; after five replacements within the window, give up.
MAX_RESTARTS, RESTART_WINDOW = 5, 600.0  # s
REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
EXPECTED = b"HTTP/1.1 200"
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where to connect if the server listens on all interfaces
log = structlog.get_logger(__name__)


def web_child(app: Asgi, listener: socket.socket, keep_alive: float, serving: trio.Event) -> Child:
    """Return a child that serves the application and sets `serving` once it accepts requests."""

    async def run(heartbeat: Heartbeat) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, app, listener, keep_alive)
            heartbeat.enter("serving", SERVE_BUDGET)
            serving.set()
            while True:
                await trio.sleep(CHECK_INTERVAL)
                if await answers(listener):
                    heartbeat.enter("serving", SERVE_BUDGET)

    return run


def web_supervisor(
    app: Asgi,
    listener: socket.socket,
    keep_alive: float,
    serving: trio.Event,
    on_restart: Callable[[str], None],
    on_give_up: Callable[[str], None],
    name: str = "web",
) -> Supervisor:
    """Return a supervisor for a web server. It is separate from the workers': the health check depends on it."""
    return Supervisor(
        {name: web_child(app, listener, keep_alive, serving)},
        restart_limit=MAX_RESTARTS,
        restart_window=RESTART_WINDOW,
        on_restart=on_restart,
        on_give_up=on_give_up,
    )


async def answers(listener: socket.socket) -> bool:
    """Return whether GET /livez on the listener's address returns 200 within CHECK_TIMEOUT."""
    host, port = listener.getsockname()[:2]
    try:
        with trio.fail_after(CHECK_TIMEOUT):
            async with await trio.open_tcp_stream(WILDCARDS.get(host, host), port) as stream:
                await stream.send_all(REQUEST)
                answer = b""
                while len(answer) < len(EXPECTED) and (more := await stream.receive_some()):
                    answer += more
    except (OSError, trio.TooSlowError, trio.BrokenResourceError) as error:
        log.warning("self-check failed", error=f"{type(error).__name__}: {error}")
        return False
    return answer.startswith(EXPECTED)
