"""The web side as a child of a supervisor: it serves, and asks itself now and then whether it really does.

A server that exists but accepts nobody is as bad as none. So its heartbeat is an answer that it gave to a real
request; when those stay out, the watchdog has it replaced.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import structlog
import trio

from render_trio.supervision.supervisor import Child, Heartbeat, Supervisor
from render_trio.web.server.request_limits import Asgi
from render_trio.web.server.server import serve

ASK_EVERY = 5.0  # s between two questions
ASK_SECONDS = 10.0  # for one answer
SERVE_BUDGET = 40.0  # s without an answer after which the server is replaced
RESTARTS, WINDOW = 5, 600.0  # s: one that answers nobody is replaced every 45 s or so, five times in vain
REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
GOOD = b"HTTP/1.1 200"
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
log = structlog.get_logger(__name__)


def web_child(app: Asgi, listener: socket.socket, serving: trio.Event) -> Child:
    """Return the child that serves the application; `serving` is set when it first does."""

    async def run(heartbeat: Heartbeat) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, app, listener)
            heartbeat.enter("serving", SERVE_BUDGET)
            serving.set()
            while True:
                await trio.sleep(ASK_EVERY)
                if await answers(listener):
                    heartbeat.enter("serving", SERVE_BUDGET)

    return run


def web_supervisor(
    app: Asgi,
    listener: socket.socket,
    serving: trio.Event,
    on_restart: Callable[[str], None],
    on_give_up: Callable[[str], None],
) -> Supervisor:
    """Return the supervisor of the web side: without it nobody could ask for our health."""
    return Supervisor(
        {"web": web_child(app, listener, serving)},
        restart_limit=RESTARTS,
        restart_window=WINDOW,
        on_restart=on_restart,
        on_give_up=on_give_up,
    )


async def answers(listener: socket.socket) -> bool:
    """Return whether who connects to the listener is told in time that the service is alive."""
    host, port = listener.getsockname()[:2]
    try:
        with trio.fail_after(ASK_SECONDS):
            async with await trio.open_tcp_stream(ANYWHERE.get(host, host), port) as stream:
                await stream.send_all(REQUEST)
                answer = b""
                while len(answer) < len(GOOD) and (more := await stream.receive_some()):
                    answer += more
    except (OSError, trio.TooSlowError, trio.BrokenResourceError) as error:
        log.warning("the web does not answer", error=f"{type(error).__name__}: {error}")
        return False
    return answer.startswith(GOOD)
