"""How long servers keep idle connections: longer than load balancers (60 s) and than our own clients (4 s)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import trio

from emulator.server.serving import serve as serve_queue
from emulator.settings import MAX_KEEP_ALIVE, MIN_KEEP_ALIVE, EmulatorSettings
from render_trio.queue.task_queue import transport
from render_trio.queue.task_queue.transport import BlockingTransport, LoopTransport
from render_trio.service import service
from render_trio.settings.reading import read
from render_trio.settings.setting import SettingError
from render_trio.settings.settings import Settings
from tests.processes import environment, start_queue, start_service
from tests.redis_server import free_port

LOAD_BALANCER_SECONDS = 60.0  # the idle timeout of AWS's, Azure's front ends and nginx, by default
REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def seconds_until_closed(address: str, requests: int = 1) -> float:
    """Send requests on one connection. Return the seconds from the last one until the server closed it."""
    url = httpx.URL(address)
    with trio.fail_after(60):
        async with await trio.open_tcp_stream(url.host, url.port or 80) as stream:
            for _ in range(requests):
                started = trio.current_time()
                await stream.send_all(REQUEST)
                received = b""
                while not received.endswith((b"}", b"}\n")):
                    received += await stream.receive_some()
                assert received.startswith(b"HTTP/1.1 200")
            while await stream.receive_some():
                pass
            return trio.current_time() - started


@pytest.mark.parametrize("seconds", [1, 2])
@pytest.mark.parametrize("requests", [1, 2])
async def test_an_idle_connection_is_closed_after_the_time_of_the_setting(
    tmp_path: Path, seconds: int, requests: int
) -> None:
    store = f"sqlite:///{tmp_path / 'queue.sqlite3'}"
    async with trio.open_nursery() as nursery:
        queue = await nursery.start(serve_queue, EmulatorSettings(port=0, store=store, keep_alive_seconds=seconds))
        settings = Settings(queue_url=queue, port=0, keep_alive_seconds=seconds)
        address = await nursery.start(service.run, settings)
        async with trio.open_nursery() as checks:

            async def check(server: str) -> None:
                assert await seconds_until_closed(server, requests) >= seconds

            checks.start_soon(check, queue)
            checks.start_soon(check, address)
        nursery.cancel_scope.cancel()


async def test_the_settings_apply_to_every_command(tmp_path: Path) -> None:
    """The queue, with several processes too, and the service, each alone and both together."""
    variables = {"EMULATOR_KEEP_ALIVE_SECONDS": "5", "KEEP_ALIVE_SECONDS": "5"}
    addresses = []
    with ExitStack() as running:
        for number, options in enumerate((["--processes", "2"], ["--keep-alive-seconds", "5"])):
            queue = start_queue(f"sqlite:///{tmp_path / str(number)}", *options, **variables if number == 0 else {})
            running.callback(queue.end)
            addresses.append(queue.address)
        alone = start_service(queue.address, tmp_path / "log", **variables)
        running.callback(alone.end)
        ports = free_port(), free_port()
        up = ("-m", "render_trio", "up", "--data", str(tmp_path), *both_ports(*ports))
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, *up], env=environment(**variables), stdout=subprocess.PIPE, text=True
        )
        running.callback(process.wait, 40)
        running.callback(process.terminate)
        assert process.stdout is not None
        running.enter_context(process.stdout)
        addresses += [alone.address, *(process.stdout.readline().split()[-1] for _ in ports)]
        async with trio.open_nursery() as checks:

            async def check(server: str) -> None:
                assert 5 <= await seconds_until_closed(server) < 60, server

            for address in addresses:
                checks.start_soon(check, address)


def both_ports(port: int, queue_port: int) -> tuple[str, ...]:
    return "--port", str(port), "--queue-port", str(queue_port)


def test_by_default_a_load_balancer_closes_idle_connections_first() -> None:
    assert LOAD_BALANCER_SECONDS < Settings().keep_alive_seconds == EmulatorSettings().keep_alive_seconds < 120


def test_our_clients_close_idle_connections_before_any_server_of_ours() -> None:
    with pytest.raises(SettingError, match=r"KEEP_ALIVE_SECONDS is '4\.99'; allowed: seconds from 5 to 3600 "):
        read({"KEEP_ALIVE_SECONDS": "4.99"})
    with pytest.raises(SettingError):
        read({"KEEP_ALIVE_SECONDS": "3601"})
    assert read({"KEEP_ALIVE_SECONDS": "5"}).keep_alive_seconds == MIN_KEEP_ALIVE
    assert read({"KEEP_ALIVE_SECONDS": "1 h"}).keep_alive_seconds == MAX_KEEP_ALIVE
    assert 0 < transport.KEEPALIVE_SECONDS <= MIN_KEEP_ALIVE - 1


class CountingServer:
    """Answers requests on connections that it never closes, and counts the connections."""

    def __init__(self) -> None:
        self.connections = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        async for _ in stream:
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize("make", [LoopTransport, BlockingTransport])
async def test_a_client_reuses_a_connection_only_until_it_expires(
    make: Callable[[], LoopTransport | BlockingTransport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "KEEPALIVE_SECONDS", 1.0)
    server = CountingServer()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, server.serve, 0)
        request = httpx.Request("GET", f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/")
        client = make()

        async def send() -> None:
            if isinstance(client, LoopTransport):
                await client.send(request, seconds=10, limit=100)
            else:
                await trio.to_thread.run_sync(trio.run, send_in_thread)

        async def send_in_thread() -> None:
            await client.send(request, seconds=10, limit=100)

        await send()
        await send()
        before = server.connections
        await trio.sleep(1.1)
        await send()
        assert server.connections == before + 1
        await client.aclose()
        nursery.cancel_scope.cancel()
