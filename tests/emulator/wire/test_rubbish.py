"""Thousands of malformed requests over real sockets to a real process: each gets a reply, none does any harm."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import trio

from tests.emulator.server.running import TASKS
from tests.emulator.wire.rubbish import invalid_http, well_framed
from tests.processes import Running, queue

CLIENTS = 8
REPLY_SECONDS = 20
PAGES = (b" / ", b" /?", b" /queues/", b" /static/")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with queue(f"sqlite:///{tmp_path_factory.mktemp('rubbish') / 'queue.sqlite3'}") as process:
        yield process


def descriptors(running: Running) -> int:
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


def send_all(
    running: Running, count: int, seed: int, make: Callable[[random.Random], bytes], check: Callable[..., None]
) -> None:
    """Send requests from several clients; check that the process has no more open file descriptors afterwards."""
    # Descriptors that the service opens when it first serves a page or a waiting lease are not leaks.
    assert httpx.get(f"{running.address}/", trust_env=False).status_code == 200
    wait = {"params": {"numTasks": 1, "leaseSecs": 0}, "headers": {"Prefer": "wait=1"}}
    assert httpx.post(f"{running.address}{TASKS}/lease", trust_env=False, **wait).status_code == 200
    # SQLite keeps the descriptors of closed connections for the next ones: a health check's and the housekeeping's.
    before = descriptors(running) + 2
    trio.run(send_from_clients, running.address, count, seed, make, check)
    deadline = time.monotonic() + REPLY_SECONDS
    while descriptors(running) > before:
        assert time.monotonic() < deadline, "connections were not closed"
        time.sleep(0.05)
    assert httpx.get(f"{running.address}/health", trust_env=False).status_code == 200


async def send_from_clients(
    address: str, count: int, seed: int, make: Callable[[random.Random], bytes], check: Callable[..., None]
) -> None:
    host, _, port = address.removeprefix("http://").partition(":")

    async def client(rng: random.Random) -> None:
        for _ in range(count // CLIENTS):
            request = make(rng)
            with trio.move_on_after(REPLY_SECONDS) as scope:
                async with await trio.open_tcp_stream(host, int(port)) as stream:
                    check(request, await exchange(stream, request, make is invalid_http))
            assert not scope.cancelled_caught, f"no reply to {request[:1000]!r}"

    async with trio.open_nursery() as nursery:
        for number in range(CLIENTS):
            nursery.start_soon(client, random.Random(seed + number))


async def exchange(stream: trio.SocketStream, request: bytes, ends: bool) -> bytes:
    """Send a request and return the reply, or the part of it that arrived before the server closed the connection."""
    reply = b""
    try:
        await stream.send_all(request)
        if ends:
            await stream.send_eof()
        while not is_complete(reply, request.startswith(b"HEAD ")) or ends:
            part = await stream.receive_some()
            if not part:
                break
            reply = (reply + part).removeprefix(b"HTTP/1.1 100 \r\n\r\n")
    except trio.BrokenResourceError:
        assert ends
    return reply


def is_complete(reply: bytes, bodiless: bool) -> bool:
    head, separator, body = reply.partition(b"\r\n\r\n")
    if not separator:
        return False
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bodiless or not lengths or len(body) >= int(lengths[0])


def check_reply(request: bytes, reply: bytes) -> None:
    """Check that a well-framed request got a complete reply: no 5xx, and errors in one of Google's two formats."""
    line = request.partition(b"\r\n")[0]
    assert reply.startswith(b"HTTP/1.1 "), (line, reply[:200])
    status = int(reply[9:12])
    assert status < 500, (request[:1000], reply[:500])
    head, _, body = reply.partition(b"\r\n\r\n")
    if status < 400 or line.startswith(b"HEAD "):
        return
    if any(page in line for page in PAGES) and b"application/json" not in head:
        assert b"</html>" in body, (line, reply[:300])
        return
    error = json.loads(body)["error"]
    assert error["code"] == status
    assert error["message"], line
    assert "errors" in error or "status" in error
    assert (status == 405) == (b"\r\nAllow: " in head or b"\r\nallow: " in head), (line, head)


def check_not_a_server_error(request: bytes, reply: bytes) -> None:
    """Check that the reply, if there is one, is not a server error."""
    if reply.startswith(b"HTTP/1.1 5"):
        assert reply.startswith((b"HTTP/1.1 501", b"HTTP/1.1 505")), (request[:300], reply[:300])


def test_well_framed_requests_always_get_a_reply_and_leak_nothing(running: Running) -> None:
    send_all(running, 3000, 1, well_framed, check_reply)


def test_invalid_http_does_no_harm(running: Running) -> None:
    send_all(running, 1200, 2, invalid_http, check_not_a_server_error)
