"""One client that uses up what is there for all: names of queues, connections, waiting leases.

0.1.0 created 1,000 queues in 0.35 s, and reported metrics of each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from emulator.queues import queue_service
from emulator.server.connections import HEAD_SECONDS, OpenConnections
from emulator.server.listening import listening_socket, serve_app
from emulator.stores.interface import QueueKey, Store
from tests.emulator.server.running import CLOUD, PROJECT, TASKS, emulator, error_of, insert
from tests.emulator.server.test_connections import echo

PATIENCE = 20.0


async def create(client: httpx.AsyncClient, number: int, project: str = PROJECT) -> httpx.Response:
    return await insert(client, f"{project}/q{number}/tasks")


async def test_a_stranger_cannot_create_queues_without_end(client: httpx.AsyncClient) -> None:
    statuses = [(await create(client, number)).status_code for number in range(1000)]
    assert statuses.count(200) == queue_service.MAX_QUEUES
    refused = error_of(await create(client, 2000))
    assert refused["reason"] == "quotaExceeded"
    assert "list the queues in --queues, or raise --max-queues" in refused["message"]
    assert (await create(client, 3)).status_code == 200  # one that exists
    other = await create(client, 1, "/taskqueue/v1beta2/projects/other/taskqueues")
    assert other.status_code == 403


async def test_the_limit_applies_to_every_way_to_create_a_queue(store: str) -> None:
    location = CLOUD.removesuffix("/queues/print")
    name = location.removeprefix("/v2beta2/") + "/queues/new"
    async with emulator(store, max_queues=1) as client:
        await insert(client)
        lease = {"numTasks": 1, "leaseSecs": 60}
        task = {"task": {"pullMessage": {"payload": "eA=="}}}
        for reply in (
            await insert(client, f"{PROJECT}/new/tasks"),
            await client.post(f"{location}/queues", json={"name": name}),
            await client.post(f"{location}/queues/new/tasks", json=task),
            await client.post(f"{PROJECT}/new/tasks/lease", params=lease, headers={"Prefer": "wait=1"}),
            await client.post("/queues/shop/new", data={"verb": "pause"}),
        ):
            assert reply.status_code == 403
        full = await client.post(f"{location}/queues/new/tasks", json=task)
        assert full.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
        assert (await client.get(CLOUD.removesuffix("/print"))).json()["queues"][0]["name"].endswith("/print")
        assert len((await client.get(CLOUD.removesuffix("/print"))).json()["queues"]) == 1


async def test_queues_created_at_once_keep_the_limit(store: str) -> None:
    async with emulator(store, max_queues=5) as client:
        statuses: list[int] = []

        async def one(number: int) -> None:
            statuses.append((await create(client, number)).status_code)

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(one, number)
        assert statuses.count(200) == 5


async def test_a_queue_file_needs_no_limit(store: str, tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text("queue:\n" + "".join(f"- {{name: q{number}, mode: pull}}\n" for number in range(5)))
    async with emulator(store, max_queues=1, queue_file=str(path)) as client:
        assert [(await create(client, number)).status_code for number in range(6)] == [200] * 5 + [404]


async def test_metrics_and_pages_do_not_grow_with_the_names(store: str, opened: Store) -> None:
    for number in range(queue_service.MAX_LISTED + 50):
        opened.declare(QueueKey("shop", f"q{number:04}"))
    async with emulator(store) as client:
        metrics = (await client.get("/metrics")).text
        assert metrics.count("emulator_tasks{") == queue_service.MAX_LISTED
        assert "emulator_unlisted_queues 50.0" in metrics
        page = (await client.get("/")).text
        assert page.count('<th scope="row">') == queue_service.MAX_LISTED
        assert "50 more queues are not listed" in page


async def test_a_client_has_a_bounded_number_of_waiting_leases(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_service, "MAX_CLIENT_WAITS", 3)
    async with emulator(store, trusted_proxies=("127.0.0.1",)) as client, trio.open_nursery() as nursery:

        async def lease(address: str) -> httpx.Response:
            headers = {"Prefer": "wait=60", "X-Forwarded-For": address}
            params = {"numTasks": 1, "leaseSecs": 60}
            return await client.post(f"{TASKS}/lease", params=params, headers=headers, timeout=90)

        for _ in range(3):
            nursery.start_soon(lease, "192.0.2.1")
        await trio.testing.wait_all_tasks_blocked(0.2)  # they wait
        with trio.fail_after(PATIENCE):
            reply = await lease("192.0.2.1")
        assert (reply.status_code, "Preference-Applied" in reply.headers) == (200, False)
        with trio.move_on_after(0.5) as other:
            await lease("192.0.2.2")
        assert other.cancelled_caught  # another client may wait
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def served(connections: OpenConnections) -> AsyncIterator[int]:
    """Serve `echo` with these limits; yield the port."""
    listener = listening_socket("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_app, echo, listener, connections)
        yield listener.getsockname()[1]
        nursery.cancel_scope.cancel()


HEAD = b"GET /one HTTP/1.1\r\nHost: localhost\r\n"


async def test_idle_connections_of_one_client_make_room_for_its_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.server.connections.MIN_CLIENT_CONNECTIONS", 8)
    connections = OpenConnections(60.0, 32)
    assert connections.client_limit == 8
    async with served(connections) as port:
        streams = []
        for _ in range(40):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(HEAD + b"\r\n")
            with trio.fail_after(PATIENCE):
                assert await stream.receive_some() != b""  # the newest is always answered
            streams.append(stream)
        await trio.sleep(0.1)
        assert connections.count <= 9
        for stream in streams:
            await stream.aclose()


async def test_slow_connections_of_one_client_do_not_keep_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests in progress can't be closed; then that client's next connection is refused, but no other client's."""
    monkeypatch.setattr("emulator.server.connections.MIN_CLIENT_CONNECTIONS", 4)
    connections = OpenConnections(60.0, 16)
    async with served(connections) as port:
        streams = []
        for _ in range(6):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await trio.sleep(0.05)
            streams.append(stream)
        assert connections.count == 4
        other = await trio.open_tcp_stream("127.0.0.1", port, local_address="127.0.0.2")
        await other.send_all(HEAD + b"Connection: close\r\n\r\n")
        with trio.fail_after(PATIENCE):
            assert (await other.receive_some()).startswith(b"HTTP/1.1 200")
        for stream in (*streams, other):
            await stream.aclose()


def test_a_trusted_proxy_has_as_many_connections_as_it_needs() -> None:
    connections = OpenConnections(60.0, 400, lambda address: address == "192.0.2.9")
    for _ in range(300):
        assert connections.make_room(connections.client_of("192.0.2.9"))
        connections.add(connections.client_of("192.0.2.9"))
    for number in range(150):
        allowed = connections.make_room(connections.client_of("192.0.2.1"))
        assert allowed == (number < connections.client_limit == 100)
        if allowed:
            connections.add(connections.client_of("192.0.2.1"))
    connections.add("192.0.2.1", -1)
    assert connections.count == 399


async def test_headers_sent_slowly_do_not_hold_a_connection(autojump_clock: trio.testing.MockClock) -> None:
    autojump_clock.autojump_threshold = 0.01  # s, for data to arrive
    async with served(OpenConnections(3600.0)) as port:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        began = trio.current_time()
        await stream.send_all(HEAD)
        with trio.fail_after(2 * HEAD_SECONDS):
            try:
                while True:  # a byte per second
                    await stream.send_all(b"X")
                    with trio.move_on_after(1.0):
                        if await stream.receive_some() == b"":
                            break
            except trio.BrokenResourceError:
                pass
        assert trio.current_time() - began <= HEAD_SECONDS + 2
        await stream.aclose()
