"""Seven bugs and pitfalls of libraries: one test shows each in the bare library, another its absence here.

Observed with hypercorn 0.18.0, httpx 0.28.1 on httpcore 1.0.9, redis 8.1.0 and quart-trio 0.12.0. If the test of a
bare library fails after an upgrade, the library has been fixed, and the workaround can be removed.
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
from render_trio.queue.task_queue.transport import CONNECTIONS
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
    """Serve with unmodified hypercorn; yields the port and the server's nursery."""
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


# 1. A WebSocket request followed by invalid bytes crashes hypercorn's nursery (its issue 225).


async def test_invalid_bytes_after_a_websocket_request_crash_bare_hypercorn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send_invalid_bytes() -> None:
        async with (
            bare_hypercorn(hasty, monkeypatch) as (port, _),
            await trio.open_tcp_stream("127.0.0.1", port) as stream,
        ):
            await stream.send_all(UPGRADE + b"\xff" * 100)
            with trio.fail_after(10):
                await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as raised:
        await send_invalid_bytes()
    assert raised.value.subgroup(h11.LocalProtocolError) is not None


async def test_invalid_bytes_after_a_websocket_request_do_not_affect_the_service() -> None:
    async with edge(hasty) as site:
        for _ in range(3):
            assert b"HTTP/1.1 200" in await site.ask(UPGRADE + b"\xff" * 100 + b"\r\n\r\n")
        assert (await site.ask(get("/200"))).startswith(b"HTTP/1.1 200")


# 2. hypercorn shields its sends: a client that does not read blocks even cancellation.


async def test_a_client_that_does_not_read_blocks_the_cancellation_of_bare_hypercorn(
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
            assert nursery.child_tasks, "the connection was cancelled, and must still be open"
            await stream.aclose()


async def test_a_client_that_does_not_read_does_not_block_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", math.inf)
    monkeypatch.setattr(connection, "LAST_SEND_SECONDS", 0.05)
    async with edge(endless) as site:
        stream = await site.connect()
        await stream.send_all(get())
        await stream.receive_some(1)
    await stream.aclose()


# 3. hypercorn leaks a connection if the response is sent before the request's body has been read.


async def test_an_early_response_leaks_a_connection_of_bare_hypercorn(monkeypatch: pytest.MonkeyPatch) -> None:
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
        assert not ended.is_set(), "the client has disconnected, and the connection must still be open"


async def test_an_early_response_leaks_no_connection_of_the_service() -> None:
    async with edge(thoughtful) as site:
        for size, status in ((900_000, 401), (4_000_000, 413)):
            async with await site.connect() as stream:
                await stream.send_all(post("/401", size))
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 %d" % status)
        await site.all_closed()


# 4. An httpx pool with fewer connections than concurrent requests is corrupted by cancellation (httpcore issue 1093).


class RefusingNetwork(httpcore.AsyncNetworkBackend):
    """Every connection attempt waits for `refuse`, then fails."""

    def __init__(self) -> None:
        self.refuse = trio.Event()

    async def connect_tcp(self, *arguments: object, **options: object) -> httpcore.AsyncNetworkStream:
        await self.refuse.wait()
        raise httpcore.ConnectError("refused")


async def dead_slots(connections: int, rounds: int = 40) -> int:
    """Return the number of slots a pool loses if a request is cancelled while the connection of another fails.

    The order of the two events is random in each round.
    """
    network = RefusingNetwork()
    pool = httpcore.AsyncConnectionPool(max_connections=connections, network_backend=network)

    async def request(scope: trio.CancelScope) -> None:
        with scope, contextlib.suppress(httpcore.ConnectError):
            await pool.request("GET", "http://queue/")

    for _ in range(rounds):
        network.refuse, waiting = trio.Event(), trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(request, trio.CancelScope())
            await wait_all_tasks_blocked()
            nursery.start_soon(request, waiting)
            await wait_all_tasks_blocked()
            network.refuse.set()
            waiting.cancel()
        if pool.connections:
            break
    lost = len(pool.connections)
    await pool.aclose()
    return lost


async def test_a_bare_pool_that_is_too_small_loses_slots_to_cancellation() -> None:
    assert await dead_slots(1) == 1


async def test_the_pool_of_the_queue_client_has_a_slot_for_every_concurrent_request() -> None:
    """No request waits for a slot. render_trio/queue/test_network.py tests that a corrupted pool is replaced."""
    assert await dead_slots(CONNECTIONS) == 0
    assert CONNECTIONS >= 2 * (REQUESTS_AT_ONCE + 1)


# 5. redis-py retries on its own, and runs a script twice if its reply was lost.

COUNT_UP = "return redis.call('INCR', KEYS[1])"


def test_a_bare_client_runs_a_script_twice_if_its_reply_is_lost(redis_server: RedisServer) -> None:
    with proxy(redis_server.url) as between, redis.Redis(port=between.port) as client:
        client.ping()
        between.behave(SWALLOW, times=1)
        assert client.eval(COUNT_UP, 1, "trap") == 2


def test_the_store_runs_a_script_once_and_reports_a_lost_reply(redis_server: RedisServer) -> None:
    queue, order = QueueKey("traps", "redis"), LeaseOrder(1, 60)
    with proxy(redis_server.url) as between:
        store = RedisStore(f"redis://127.0.0.1:{between.port}/0")
        assert store.lease(queue, order) == []  # loads the script into Redis
        store.insert(queue, NewTask("one", "eA=="))
        between.behave(SWALLOW, times=1)
        with pytest.raises(StoreUnavailableError):
            store.lease(queue, order)
        assert store.get(queue, "one").retry_count == 1
        store.close()


# 6. A task that fails in quart-trio's app.nursery cancels its siblings, and nothing is reported.


async def test_a_failure_in_app_nursery_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    app, failing, sibling_ended = QuartTrio(__name__), trio.Event(), trio.Event()

    async def fail() -> None:
        await failing.wait()
        raise RuntimeError("not reported")

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


def test_no_module_uses_app_nursery() -> None:
    """Workers run in the service's own nursery, and the supervisor handles every failure."""
    for path in [*(ROOT / "render_trio").rglob("*.py"), *(ROOT / "emulator").rglob("*.py")]:
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not names & {"nursery", "add_background_task", "before_serving", "while_serving"}, path


# 7. Quart cancels a request after sending the response, and thereby hypercorn before it closes the connection.


async def test_a_connection_to_be_closed_stays_open_in_bare_hypercorn(
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
        assert waiting.cancelled_caught, "the connection was closed"


async def test_a_connection_to_be_closed_is_closed_by_the_service() -> None:
    app = QuartTrio(__name__)

    @app.get("/")
    async def page() -> str:
        return "all is well"

    async with edge(cast(Asgi, app)) as site:
        assert (await site.ask(get())).endswith(b"all is well")
        await site.all_closed()


def test_no_command_raises_inside_except_star() -> None:
    """Python before 3.11.4 wraps an exception that is raised there in a group, which no caller's `except` catches.

    The supervisor may: its callers unwrap groups anyway.
    """
    found = []
    for path in sorted(path for package in ("emulator", "render_trio") for path in (ROOT / package).rglob("*.py")):
        if path.name == "supervisor.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for handler in node.handlers if isinstance(node, ast.TryStar) else ():
                found += [f"{path}:{one.lineno}" for one in ast.walk(handler) if isinstance(one, ast.Raise)]
    assert found == []
