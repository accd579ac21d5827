"""Seven traps of the libraries in use: each is shown to be there in the bare library, and not to be here.

Seen with hypercorn 0.18.0, httpx 0.28.1 on httpcore 1.0.9, redis 8.1.0, quart-trio 0.12.0. When a test of a
bare library fails after an upgrade, the trap is gone, and the remedy may go too.
"""

from __future__ import annotations

import ast
import contextlib
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import h11
import httpcore
import httpx
import pytest
import redis
import trio
from hypercorn.config import Config
from hypercorn.trio import run as hypercorn_run
from hypercorn.trio import serve as hypercorn_serve
from hypercorn.trio.tcp_server import TCPServer
from quart_trio import QuartTrio
from trio.testing import wait_all_tasks_blocked

from emulator.stores.interface import LeaseOrder, NewTask, QueueKey, StoreUnavailableError
from emulator.stores.redis.store import RedisStore
from render_trio.queue.task_queue.connection import CONNECTIONS
from render_trio.web.server import connection
from render_trio.web.server.request_limits import Asgi
from render_trio.worker.leases import REQUESTS_AT_ONCE
from tests.conftest import ROOT
from tests.proxy import SWALLOW, proxy
from tests.redis_server import RedisServer
from tests.render_trio.web.server.edge import edge, endless, get, hasty, post, send_for_ever, thoughtful
from tests.render_trio.web.server.test_edge import UPGRADE


@asynccontextmanager
async def bare_hypercorn(app: Asgi, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, trio.Nursery]]:
    """Serve by hypercorn as it is; gives the port and the nursery of the server."""
    monkeypatch.setattr(hypercorn_run, "TCPServer", TCPServer)
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = config.errorlog = None
    async with trio.open_nursery() as nursery:

        async def start(*, task_status: trio.TaskStatus[list[str]]) -> None:
            await hypercorn_serve(app, config, mode="asgi", task_status=task_status)  # type: ignore[arg-type]

        (address,) = await nursery.start(start)
        yield int(address.rsplit(":", 1)[1]), nursery
        nursery.cancel_scope.cancel()


# 1. A websocket request followed by rubbish brings hypercorn's nursery down (its issue 225).


async def test_rubbish_after_a_websocket_request_ends_a_bare_hypercorn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send_rubbish() -> None:
        async with (
            bare_hypercorn(hasty, monkeypatch) as (port, _),
            await trio.open_tcp_stream("127.0.0.1", port) as stream,
        ):
            await stream.send_all(UPGRADE + b"\xff" * 100)
            with trio.fail_after(10):
                await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as raised:
        await send_rubbish()
    assert raised.value.subgroup(h11.LocalProtocolError) is not None


async def test_rubbish_after_a_websocket_request_ends_nothing_of_ours() -> None:
    async with edge(hasty) as site:
        for _ in range(3):
            assert b"HTTP/1.1 200" in await site.ask(UPGRADE + b"\xff" * 100 + b"\r\n\r\n")
        assert (await site.ask(get("/200"))).startswith(b"HTTP/1.1 200")


# 2. hypercorn shields its sends: a client that does not read holds up even a cancellation.


async def test_a_client_that_does_not_read_holds_up_the_end_of_a_bare_hypercorn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bare_hypercorn(endless, monkeypatch) as (port, nursery):
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.send_all(get())
        await stream.receive_some(1)
        await wait_all_tasks_blocked(0.05)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked(0.05)
            assert nursery.child_tasks, "cancelled, and still there"
            await stream.aclose()


async def test_a_client_that_does_not_read_holds_up_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", math.inf)
    monkeypatch.setattr(connection, "LAST_SEND_SECONDS", 0.05)
    async with edge(endless) as site:
        stream = await site.connect()
        await stream.send_all(get())
        await stream.receive_some(1)
    await stream.aclose()


# 3. An answer that comes before its request's body was read leaves hypercorn's connection behind.


async def test_an_early_answer_leaks_a_connection_of_a_bare_hypercorn(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = trio.Event()
    run = TCPServer.run

    async def watched(self: TCPServer) -> None:
        try:
            await run(self)
        finally:
            ended.set()

    monkeypatch.setattr(TCPServer, "run", watched)
    async with bare_hypercorn(thoughtful, monkeypatch) as (port, _):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream, trio.open_nursery() as sending:
            sending.start_soon(send_for_ever, stream, post("/401", 4_000_000), 0)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 401")
            sending.cancel_scope.cancel()
        await wait_all_tasks_blocked(0.05)
        assert not ended.is_set(), "the client has gone, the connection stays"


async def test_an_early_answer_leaks_nothing_of_ours() -> None:
    async with edge(thoughtful) as site:
        for size, status in ((900_000, 401), (4_000_000, 413)):
            async with await site.connect() as stream:
                await stream.send_all(post("/401", size))
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 %d" % status)
        await site.all_closed()


# 4. A pool of httpx that is smaller than its tasks is poisoned by cancellation (httpcore issue 1093).


class RefusingNetwork(httpcore.AsyncNetworkBackend):
    """Connecting takes until `refuse` is set, and fails then."""

    def __init__(self) -> None:
        self.refuse = trio.Event()

    async def connect_tcp(self, *arguments: object, **options: object) -> httpcore.AsyncNetworkStream:
        await self.refuse.wait()
        raise httpcore.ConnectError("refused")


async def dead_slots(connections: int, rounds: int = 40) -> int:
    """Return the slots lost in a pool, when a request is cancelled while another one's connection fails.

    Which of the two is seen first is drawn by lot in each round.
    """
    network = RefusingNetwork()
    pool = httpcore.AsyncConnectionPool(max_connections=connections, network_backend=network)

    async def ask(scope: trio.CancelScope) -> None:
        with scope, contextlib.suppress(httpcore.ConnectError):
            await pool.request("GET", "http://queue/")

    for _ in range(rounds):
        network.refuse, waiting = trio.Event(), trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, trio.CancelScope())
            await wait_all_tasks_blocked()
            nursery.start_soon(ask, waiting)
            await wait_all_tasks_blocked()
            network.refuse.set()
            waiting.cancel()
        if pool.connections:
            break
    lost = len(pool.connections)
    await pool.aclose()
    return lost


async def test_a_bare_pool_that_is_too_small_loses_its_slots_to_cancellation() -> None:
    assert await dead_slots(1) == 1


async def test_our_pool_has_a_slot_for_every_request_at_once() -> None:
    """So none ever waits for one. That a pool which is poisoned all the same is replaced: daemon/test_network.py."""
    assert await dead_slots(CONNECTIONS) == 0
    assert CONNECTIONS >= 2 * (REQUESTS_AT_ONCE + 1)


# 5. redis-py tries again by itself, and so runs a script twice whose reply was lost.

COUNT_UP = "return redis.call('INCR', KEYS[1])"


def test_a_bare_client_runs_a_script_twice_whose_reply_was_lost(redis_server: RedisServer) -> None:
    with proxy(redis_server.url) as between, redis.Redis(port=between.port) as client:
        client.ping()
        between.behave(SWALLOW, times=1)
        assert client.eval(COUNT_UP, 1, "trap") == 2


def test_our_store_runs_it_once_and_says_so(redis_server: RedisServer) -> None:
    queue, order = QueueKey("traps", "redis"), LeaseOrder(1, 60)
    with proxy(redis_server.url) as between:
        store = RedisStore(f"redis://127.0.0.1:{between.port}/0")
        assert store.lease(queue, order) == []  # the script is known to Redis from here on
        store.insert(queue, NewTask("one", "eA=="))
        between.behave(SWALLOW, times=1)
        with pytest.raises(StoreUnavailableError):
            store.lease(queue, order)
        assert store.get(queue, "one").retry_count == 1
        store.close()


# 6. A task that fails in quart-trio's app.nursery takes its siblings along, and nobody is told.


async def test_a_failure_in_the_nursery_of_a_bare_application_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    app, failing, sibling_ended = QuartTrio(__name__), trio.Event(), trio.Event()

    async def fail() -> None:
        await failing.wait()
        raise RuntimeError("nobody hears of it")

    async def work() -> None:
        try:
            await trio.sleep_forever()
        finally:
            sibling_ended.set()

    @app.before_serving
    async def begin() -> None:
        app.nursery.start_soon(fail)
        app.nursery.start_soon(work)

    @app.get("/")
    async def page() -> str:
        return "all is well"

    async with bare_hypercorn(cast(Asgi, app), monkeypatch) as (port, _):
        failing.set()
        with trio.fail_after(10):
            await sibling_ended.wait()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == "all is well"


def test_nothing_of_ours_runs_in_the_application() -> None:
    """Workers live in the service's own nursery, where the supervisor hears of every failure."""
    for path in [*(ROOT / "render_trio").rglob("*.py"), *(ROOT / "emulator").rglob("*.py")]:
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not names & {"nursery", "add_background_task", "before_serving", "while_serving"}, path


# 7. Quart cancels its request when the answer is out, and hypercorn with it, before it has closed the connection.


async def test_a_connection_that_is_to_be_closed_stays_open_in_a_bare_hypercorn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = QuartTrio(__name__)

    @app.get("/")
    async def page() -> str:
        return "all is well"

    async with (
        bare_hypercorn(cast(Asgi, app), monkeypatch) as (port, _),
        await trio.open_tcp_stream("127.0.0.1", port) as stream,
    ):
        await stream.send_all(get())
        received = b""
        while b"all is well" not in received:
            received += await stream.receive_some()
        with trio.move_on_after(0.3) as waiting:
            await stream.receive_some()
        assert waiting.cancelled_caught, "no end comes"


async def test_a_connection_that_is_to_be_closed_is_closed_here() -> None:
    app = QuartTrio(__name__)

    @app.get("/")
    async def page() -> str:
        return "all is well"

    async with edge(cast(Asgi, app)) as site:
        assert (await site.ask(get())).endswith(b"all is well")
        await site.all_closed()
