"""The self-check: a web server that fails, or runs but doesn't answer, is replaced."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio

from render_trio.errors import FatalError
from render_trio.supervision.supervisor import Supervisor
from render_trio.web.server import self_check
from render_trio.web.server.listening import address_of, listening_socket


class Site:
    """An application that answers while it is `healthy`."""

    def __init__(self) -> None:
        self.healthy = True
        self.requests = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        self.requests += 1
        if not self.healthy:
            await trio.sleep_forever()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def supervise(site: Site, listener: Any, serving: trio.Event) -> Supervisor:
    child = self_check.web_child(site, listener, 60.0, serving)
    return Supervisor({"web": child}, restart_limit=3, restart_window=600, uniform=lambda low, high: low)


@pytest.fixture
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "CHECK_INTERVAL", 0.05)
    monkeypatch.setattr(self_check, "CHECK_TIMEOUT", 0.3)
    monkeypatch.setattr(self_check, "SERVE_BUDGET", 0.6)


async def until(condition: Any) -> None:
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - a real server, in real time
            await trio.sleep(0.01)


async def test_a_server_that_does_not_answer_is_replaced(short_intervals: None) -> None:
    site, listener, serving = Site(), listening_socket("127.0.0.1", 0), trio.Event()
    supervisor = supervise(site, listener, serving)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await serving.wait()
        await until(lambda: site.requests > 2)
        assert supervisor.slots[0].restarts == 0
        site.healthy = False
        await until(lambda: supervisor.slots[0].restarts == 1)
        assert supervisor.slots[0].last_error.startswith("stalled: serving took longer than")
        site.healthy = True
        answered = site.requests
        await until(lambda: site.requests > answered + 2)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(address_of(listener, "127.0.0.1"))).status_code == 200
        nursery.cancel_scope.cancel()
    listener.close()


async def test_a_server_that_can_not_be_started_ends_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*arguments: Any, **options: Any) -> None:
        raise ValueError("no such file")

    monkeypatch.setattr(self_check, "serve", fail)
    with pytest.RaisesGroup(
        pytest.RaisesExc(FatalError, match=r"ValueError in fail \(test_self_check.py:"), flatten_subgroups=True
    ):
        await supervise(Site(), None, trio.Event()).run()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
async def test_the_self_check_uses_the_listener_s_address(host: str) -> None:
    listener, serving = listening_socket(host, 0), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise(Site(), listener, serving).run)
        await serving.wait()
        assert await self_check.answers(listener)
        nursery.cancel_scope.cancel()
    listener.close()
    await trio.lowlevel.checkpoint()
