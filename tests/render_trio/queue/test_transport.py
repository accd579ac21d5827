"""Requests on an event loop and in a thread behave the same, against a real server."""

from __future__ import annotations

import contextlib
import gc
import gzip
import socket
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import httpx
import pytest
import trio
from trio.testing import MockClock

from emulator.settings import EmulatorSettings
from render_trio.queue.task_queue import transport
from render_trio.queue.task_queue.transport import (
    KEEPALIVE_SECONDS,
    BlockingTransport,
    LoopTransport,
    Transport,
    new_request,
    timeouts,
)
from tests.redis_server import free_port

TEXT = b'{"kind": "taskqueue#tasks"}'


class Replies(BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers: dict[str, str] = {}
        body, status = TEXT, 200
        match self.path:
            case "/gzip":
                body, headers = gzip.compress(TEXT), {"Content-Encoding": "gzip", "X-Kept": "yes"}
            case "/redirect":
                status, headers = 302, {"Location": "/plain"}
            case "/agent":
                body = self.headers["User-Agent"].encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replies)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=[LoopTransport, BlockingTransport])
def kind(request: pytest.FixtureRequest) -> type[Transport]:
    return request.param  # type: ignore[no-any-return]


def fetch(
    kind: type[Transport], url: str, *, limit: int = 10**6, seconds: float = 30
) -> tuple[httpx.Response, Transport]:
    """Return the response, fetched on a loop or without one."""
    found: list[tuple[httpx.Response, Transport]] = []

    async def work() -> None:
        used = kind()
        try:
            sent = new_request("GET", url, timeout=timeouts(30))
            found.append((await used.send(sent, seconds=seconds, limit=limit), used))
        finally:
            await used.aclose()

    if kind is BlockingTransport:
        with contextlib.suppress(StopIteration):
            work().send(None)
    else:
        trio.run(work)
    return found[0]


def test_a_compressed_response_is_decoded_once(kind: type[Transport], address: str) -> None:
    """A header that still named the compression would have the body decoded again."""
    response, _ = fetch(kind, f"{address}/gzip")
    assert response.content == TEXT
    assert response.json() == {"kind": "taskqueue#tasks"}
    assert "Content-Encoding" not in response.headers
    assert response.headers["X-Kept"] == "yes"


def test_proxies_of_the_environment_are_not_used(
    kind: type[Transport], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is a neighbour; a proxy for the web would not reach it."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert fetch(kind, f"{address}/plain")[0].status_code == 200


def test_a_response_may_have_the_limit_of_bytes_and_no_more(kind: type[Transport], address: str) -> None:
    for path in ("/plain", "/gzip"):
        assert fetch(kind, address + path, limit=len(TEXT))[0].content == TEXT
        with pytest.raises(httpx.RemoteProtocolError, match=f"more than {len(TEXT) - 1} bytes"):
            fetch(kind, address + path, limit=len(TEXT) - 1)


def test_a_redirect_is_returned_and_not_followed(kind: type[Transport], address: str) -> None:
    response, _ = fetch(kind, f"{address}/redirect")
    assert (response.status_code, response.headers["Location"]) == (302, "/plain")
    assert str(response.request.url) == f"{address}/redirect"


def test_our_name_and_version_are_sent(kind: type[Transport], address: str) -> None:
    assert fetch(kind, f"{address}/agent")[0].content.startswith(b"render-trio/")


def test_closing_a_transport_closes_its_connections(kind: type[Transport], address: str) -> None:
    _, used = fetch(kind, f"{address}/plain")
    assert used._client.is_closed  # type: ignore[attr-defined]


def test_no_time_left_is_a_timeout(kind: type[Transport], address: str) -> None:
    with pytest.raises(httpx.ReadTimeout, match="no complete response within"):
        fetch(kind, f"{address}/plain", seconds=-1)


def test_idle_connections_are_closed_before_the_queue_closes_them(kind: type[Transport]) -> None:
    """Otherwise a request could be sent on a connection that the server is closing, and would be lost."""
    limits = transport._limits()
    assert limits.keepalive_expiry == KEEPALIVE_SECONDS < EmulatorSettings().keep_alive_seconds
    assert KEEPALIVE_SECONDS < 5, "the keep-alive of other servers"
    assert limits.max_connections == limits.max_keepalive_connections
    pool = kind()._client._transport._pool  # type: ignore[attr-defined]
    assert pool._keepalive_expiry == KEEPALIVE_SECONDS
    assert pool._max_connections == limits.max_connections


class Slow(httpx.AsyncByteStream):
    """A body in parts, each of which takes a time in s."""

    def __init__(self, *seconds: float) -> None:
        self.seconds = seconds
        self.closed = False

    async def __aiter__(self) -> Any:
        for each in self.seconds:
            await trio.sleep(each)
            yield b"x"

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("seconds", "arrives"), [((1, 1, 1, 1.9), True), ((1, 1, 1, 2.1), False)])
async def test_the_time_limit_applies_to_the_whole_body(
    seconds: tuple[float, ...], arrives: bool, autojump_clock: MockClock
) -> None:
    body = Slow(*seconds)
    used = LoopTransport()
    used._client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, stream=body)))
    sent = new_request("GET", "http://queue/", timeout=timeouts(5))
    started = used.now()
    if arrives:
        assert (await used.send(sent, seconds=5, limit=100)).content == b"xxxx"
    else:
        with pytest.raises(httpx.ReadTimeout, match="no complete response within 5 s"):
            await used.send(sent, seconds=5, limit=100)
        assert used.now() - started == pytest.approx(5)
    assert body.closed


async def test_a_body_that_exceeds_the_limit_is_not_read_to_its_end(autojump_clock: MockClock) -> None:
    body = Slow(*[1.0] * 1000)
    used = LoopTransport()
    used._client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, stream=body)))
    started = used.now()
    with pytest.raises(httpx.RemoteProtocolError):
        await used.send(new_request("GET", "http://queue/", timeout=timeouts(5000)), seconds=5000, limit=10)
    assert used.now() - started < 13
    assert body.closed


async def test_a_request_that_is_cancelled_while_it_is_sent_leaves_nothing_to_the_garbage_collector() -> None:
    """Otherwise each shutdown during a request could log an error."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        requests = LoopTransport()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        request = new_request("POST", url, timeout=timeouts(60), content=bytes(64 * 1024 * 1024))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(requests.send, request, seconds=60, limit=100))
                with await trio.to_thread.run_sync(lambda: deaf.accept()[0]) as client:
                    await trio.to_thread.run_sync(client.recv, 1)  # the rest is more than any buffer holds
                    nursery.cancel_scope.cancel()
            await requests.aclose()
            gc.collect()
    assert [str(warning.message) for warning in caught] == []


async def test_a_replaced_pool_is_closed_and_not_used_again(address: str) -> None:
    used = LoopTransport()
    before = used._client
    await used.replace_pool()
    assert before.is_closed
    assert used._client is not before
    sent = new_request("GET", f"{address}/plain", timeout=timeouts(30))
    assert (await used.send(sent, seconds=30, limit=100)).content == TEXT
    await used.aclose()


async def test_threads_keep_their_pool() -> None:
    used = BlockingTransport()
    before = used._client
    await used.replace_pool()
    assert used._client is before
    assert not before.is_closed
    await used.aclose()


async def test_the_clock_of_a_loop_is_the_loops(autojump_clock: MockClock) -> None:
    used = LoopTransport()
    started = used.now()
    await used.sleep(100)
    assert used.now() - started == pytest.approx(100)
    assert used.now() == anyio.current_time()
    await used.aclose()


def test_the_time_to_wait_for_a_connection_ends_before_the_time_for_the_response() -> None:
    assert timeouts(10).as_dict() == {"connect": 10, "read": 10, "write": 10, "pool": 5}
    assert timeouts(10, 20).as_dict() == {"connect": 10, "read": 30, "write": 10, "pool": 5}
