"""Attack: one client tries to get more than its share of renders and event streams, to lock out everyone else.

All addresses of 127.0.0.0/8 belong to this machine, so each can be another client.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import trio

from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.on_demand import OnDemandLimits
from render_trio.rendering.pipeline import produce
from render_trio.web.access.clients import name_of
from render_trio.web.server_sent_events import CLIENTS, Listeners
from resources.request import Request
from tests.render_trio.web import operated, site
from tests.render_trio.web.operated import MAX_LISTENERS, PER_CLIENT

ATTACKER, OTHERS = "127.0.0.9", [f"127.0.1.{number}" for number in range(1, 9)]
EVENTS = "/status/events"
RENDERS = OnDemandLimits(at_once=1, waiting=7, seconds=30, cache_bytes=2**24)
SHARE = 6  # three quarters of them
FORGED = {"X-Forwarded-For": "{0}", "Forwarded": "for={0}", "X-Real-IP": "{0}", "X-Client-IP": "{0}", "Via": "1.1 {0}"}


@pytest.fixture
async def service() -> AsyncIterator[operated.Site]:
    async with operated.running(operated.Site()) as running:
        yield running


@asynccontextmanager
async def client_at(address: str, server: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with this address."""
    transport = httpx.AsyncHTTPTransport(local_address=address, limits=httpx.Limits(max_connections=None))
    async with httpx.AsyncClient(base_url=server, transport=transport, timeout=30) as client:
        yield client


@dataclass
class Answer:
    """The beginning of a response: of a stream, its first event."""

    status: int
    text: str


async def open_stream(stack: AsyncExitStack, address: str, server: str, header: str = "") -> Answer:
    """Open a stream of events, and keep it open as long as the stack."""
    host, port = server.removeprefix("http://").split(":")
    stream = await stack.enter_async_context(await trio.open_tcp_stream(host, int(port), local_address=address))
    await stream.send_all(f"GET {EVENTS} HTTP/1.1\r\nHost: {host}\r\n{header}\r\n".encode())
    received = b""
    while not received.partition(b"\r\n\r\n")[2]:  # something of the body: now it is counted
        received += await stream.receive_some()
    return Answer(int(received[9:12]), received.decode())


async def until_none_is_open(service: operated.Site) -> None:
    with trio.fail_after(20):
        while service.listeners.count:  # noqa: ASYNC110  (a real server, in real time)
            await trio.sleep(0.01)


# -- event streams


async def test_a_hundred_streams_of_one_client_do_not_lock_out_the_others(service: operated.Site) -> None:
    async with AsyncExitStack() as stack:
        opened = [await open_stream(stack, ATTACKER, service.address) for _ in range(100)]
        assert Counter(stream.status for stream in opened) == {200: PER_CLIENT, 429: 100 - PER_CLIENT}
        assert all("retry-after: 5" in stream.text for stream in opened if stream.status == 429)
        for address in OTHERS[: CLIENTS - 1]:
            for _ in range(PER_CLIENT):
                assert (await open_stream(stack, address, service.address)).status == 200
        assert service.listeners.count == MAX_LISTENERS
        too_many = await open_stream(stack, OTHERS[-1], service.address)
        assert too_many.status == 503
        assert "retry-after: 5" in too_many.text
        assert "too_many_listeners" in too_many.text
    await until_none_is_open(service)


async def test_a_forged_address_is_not_another_client(service: operated.Site) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(PER_CLIENT):
            assert (await open_stream(stack, ATTACKER, service.address)).status == 200
        for number in range(5):
            for name, value in FORGED.items():
                forged = f"{name}: {value.format(f'198.51.100.{number}')}\r\n"
                assert (await open_stream(stack, ATTACKER, service.address, forged)).status == 429


async def test_addresses_of_one_network_are_one_client() -> None:
    listeners = Listeners(CLIENTS, trio.Event())

    async def source() -> bytes | None:
        return b"x"

    def respond(address: str) -> Any:
        return listeners.respond(source, name_of({"client": (address, 1)}))

    async with respond("2001:db8:1:2::1").response:
        assert respond("2001:db8:1:2:ffff:ffff:ffff:ffff").status_code == 429
        assert respond("2001:db8:1:3::1").status_code == 200
    async with respond("192.0.2.1").response:
        assert respond("::ffff:192.0.2.1").status_code == 429


async def test_head_requests_neither_need_nor_take_a_stream(service: operated.Site) -> None:
    async with client_at(ATTACKER, service.address) as client:
        for _ in range(MAX_LISTENERS * 2):
            assert (await client.head(EVENTS)).status_code == 200
    assert service.listeners.count == 0


async def test_pipelined_requests_are_answered_one_after_another(service: operated.Site) -> None:
    host, port = service.address.removeprefix("http://").split(":")
    request = f"GET {EVENTS} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    async with await trio.open_tcp_stream(host, int(port), local_address=ATTACKER) as stream:
        await stream.send_all(request * 50)
        assert (await stream.receive_some(12)) == b"HTTP/1.1 200"
        async with AsyncExitStack() as stack:
            for _ in range(PER_CLIENT - 1):
                assert (await open_stream(stack, ATTACKER, service.address)).status == 200
            assert service.listeners.count == PER_CLIENT
    await until_none_is_open(service)


async def test_a_stream_that_is_closed_abruptly_is_given_back(service: operated.Site) -> None:
    host, port = service.address.removeprefix("http://").split(":")
    for _ in range(PER_CLIENT * 3):
        with socket.create_connection((host, int(port)), 10, source_address=(ATTACKER, 0)) as connection:
            # The kernel resets the connection when it is closed, instead of ending it properly.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(f"GET {EVENTS} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            await trio.to_thread.run_sync(connection.recv, 12)
        await until_none_is_open(service)
    async with AsyncExitStack() as stack:
        for _ in range(PER_CLIENT):
            assert (await open_stream(stack, ATTACKER, service.address)).status == 200


# -- renders


class Gate:
    """An offload that renders once `opened` is set."""

    abandoned = 0

    def __init__(self) -> None:
        self.opened = trio.Event()
        self.began = 0

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        self.began += 1
        await self.opened.wait()
        return produce(request, lambda: None)

    def with_capacity(self, workers: int) -> Gate:
        return self


def address(seed: object) -> str:
    return f"/resources/sorting-network.pdf?seed={seed}"


async def until_waiting(running: site.Site, renders: int) -> None:
    with trio.fail_after(20):
        while running.quota.used != renders:  # noqa: ASYNC110  (a real server, in real time)
            await trio.sleep(0.01)


async def test_renders_of_one_client_leave_room_for_others_and_browsers_get_a_page() -> None:
    gate = Gate()
    async with (
        site.running(gate, RENDERS) as running,
        client_at(ATTACKER, running.address) as attacker,
        client_at(OTHERS[0], running.address) as other,
        trio.open_nursery() as nursery,
    ):
        answers = Counter[int]()

        async def get(client: httpx.AsyncClient, seed: int) -> None:
            answers[(await client.get(address(seed))).status_code] += 1

        for seed in range(SHARE):
            nursery.start_soon(get, attacker, seed)
        await until_waiting(running, SHARE)
        for seed in range(100, 150):
            refused = await attacker.get(address(seed), headers={"X-Forwarded-For": f"192.0.2.{seed}"})
            assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
            assert int(refused.headers["Retry-After"]) >= 1
        for path in (
            address(200),
            "/resources/grid/pages/1.png?header_text=x",
            "/resources/grid/preview?header_text=x",
        ):
            assert (await attacker.get(path)).status_code == 429
        page = await attacker.get(address(200), headers={"Accept": site.PAGE})
        assert (page.status_code, page.headers["Retry-After"]) == (429, "5")
        assert page.headers["Content-Type"].startswith("text/html")
        # What costs nothing is not refused: pages, HEAD, and a document that is being drawn already.
        assert (await attacker.get("/resources/sorting-network?seed=300")).status_code == 200
        assert (await attacker.head(address(300))).status_code == 200
        nursery.start_soon(get, attacker, 0)
        for seed in (400, 401):
            nursery.start_soon(get, other, seed)
        await until_waiting(running, SHARE + 2)
        busy = await other.get(address(402))
        assert (busy.status_code, busy.json()["code"]) == (503, "busy")
        gate.opened.set()
    assert answers == {200: SHARE + 3}


async def test_requests_that_are_cancelled_give_back_their_share_once_nothing_is_drawn_for_them() -> None:
    gate = Gate()
    async with site.running(gate, RENDERS) as running, client_at(ATTACKER, running.address) as attacker:
        for attempt in range(3):
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    for seed in range(SHARE):
                        nursery.start_soon(attacker.get, address(f"{attempt}{seed}"))
                    await until_waiting(running, SHARE)
                    scope.cancel()
            # The one that has begun is drawn to its end and counts until then; the others are cancelled.
            await until_waiting(running, 1)
            assert gate.began == attempt + 1
            gate.opened.set()
            await until_waiting(running, 0)
            gate.opened = trio.Event()


async def test_a_class_of_thirty_behind_one_address_can_print() -> None:
    gate = Gate()
    defaults = OnDemandLimits(at_once=1, waiting=64, seconds=30, cache_bytes=2**25)  # those of the settings
    async with site.running(gate, defaults) as running:
        answers = Counter[int]()

        async def get(pupil: int) -> None:
            async with client_at(OTHERS[0], running.address) as client:
                answers[(await client.get(f"/resources/grid.pdf?header_text=Pupil+{pupil}")).status_code] += 1

        async with trio.open_nursery() as nursery:
            for pupil in range(30):
                nursery.start_soon(get, pupil)
            await until_waiting(running, 30)
            gate.opened.set()
    assert answers == {200: 30}
