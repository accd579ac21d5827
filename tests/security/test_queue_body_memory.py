"""Memory that the queue needs for request bodies. 0.1.0 read 30 bodies of 15 MiB without a token: 90 → 502 MB."""

from __future__ import annotations

import re
import socket
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.emulator.server.running import TASKS
from tests.processes import Running, start_queue

MIB = 1024 * 1024
BODY = 15 * MIB
PARALLEL = 30
REFUSED_BOUND = 40  # MB that bodies of refused requests may add
PERMITTED_BOUND = 200  # MB that those of permitted ones may add: 64 MB of bodies, and copies of their parts
TOKEN = "render-token-0123456789"
PATIENCE = 120.0


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    (tmp_path / "tokens.yaml").write_text(f"render@example.org: {TOKEN}\n")
    running = start_queue(f"sqlite:///{tmp_path / 'q'}", "--token-file", str(tmp_path / "tokens.yaml"))
    yield running
    running.end()


def peak_memory(running: Running) -> float:
    """Return the largest resident memory so far (MB)."""
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) / 1000


def send(running: Running, head: str, parts: Iterator[bytes]) -> int:
    """Send a request while its reply is read; return its status, 0 without a reply."""
    host, port = running.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        reply = bytearray()

        def read() -> None:
            while data := connection.recv(65536):
                reply.extend(data)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            connection.sendall(f"{head}\r\nHost: localhost\r\n\r\n".encode())
            for part in parts:
                connection.sendall(part)
        except OSError:
            pass  # the queue has closed the connection, after its reply
        reader.join(PATIENCE)
    return int(reply[9:12] or b"0")


def at_once(running: Running, head: str, parts: list[bytes]) -> list[int]:
    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(lambda _: send(running, head, iter(parts)), range(PARALLEL)))


@pytest.mark.parametrize("path", ["/batch", TASKS, "/queues/shop/print", "/health"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_bodies_without_a_token_need_no_memory(running: Running, path: str, framing: str) -> None:
    httpx.get(f"{running.address}/health", trust_env=False)
    before = peak_memory(running)
    head = f"POST {path} HTTP/1.1\r\nConnection: close"
    if framing == "length":
        statuses = at_once(running, f"{head}\r\nContent-Length: {BODY}", [bytes(MIB)] * (BODY // MIB))
    else:
        chunk = b"%x\r\n%b\r\n" % (MIB, bytes(MIB))
        statuses = at_once(running, f"{head}\r\nTransfer-Encoding: chunked", [chunk] * (BODY // MIB) + [b"0\r\n\r\n"])
    assert set(statuses) <= {401, 413}
    assert len(statuses) == PARALLEL
    assert peak_memory(running) - before < REFUSED_BOUND


@pytest.mark.parametrize("refusal", ["Host: evil.example", "Origin: http://evil.example"])
def test_bodies_for_another_host_or_from_another_site_need_no_memory(running: Running, refusal: str) -> None:
    before = peak_memory(running)
    client_head = f"POST /batch HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {BODY}\r\n{refusal}"
    with ThreadPoolExecutor(PARALLEL) as pool:
        statuses = list(pool.map(lambda _: _sent(running, client_head), range(PARALLEL)))
    assert set(statuses) == ({421} if "Host" in refusal else {403})
    assert peak_memory(running) - before < REFUSED_BOUND


def _sent(running: Running, head: str) -> int:
    """Send a batch with this head, and with the usual Host unless the head has one."""
    host, port = running.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE) as connection:
        connection.sendall((head + ("" if "Host" in head else "\r\nHost: localhost") + "\r\n\r\n").encode())
        try:
            for _ in range(BODY // MIB):
                connection.sendall(bytes(MIB))
        except OSError:
            pass
        return int(connection.recv(65536)[9:12])


def test_bodies_with_a_token_wait_for_room(running: Running) -> None:
    httpx.get(f"{running.address}/health", trust_env=False)
    before = peak_memory(running)
    part = b"--x\r\nContent-Type: application/http\r\n\r\nGET /health HTTP/1.1\r\n\r\n"
    content = part + bytes(BODY - len(part) - 9) + b"\r\n--x--\r\n"
    head = f"POST /batch HTTP/1.1\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Content-Type: multipart/mixed; boundary=x\r\nContent-Length: {len(content)}"
    statuses = set(at_once(running, head, [content]))
    assert 200 in statuses
    assert statuses <= {200, 503}  # on a slow machine, some wait for too long
    assert peak_memory(running) - before < PERMITTED_BOUND


def test_compressed_bodies_are_counted_decompressed(running: Running) -> None:
    """A waiting lease would keep a body of 1.4 MB that was sent as 1.5 kB for a minute."""
    before = peak_memory(running)
    bomb = zlib.compressobj(9, wbits=31)
    content = bomb.compress(bytes(1_400_000)) + bomb.flush()
    head = f"POST {TASKS}/lease?numTasks=1&leaseSecs=60 HTTP/1.1\r\nConnection: close\r\nPrefer: wait=1\r\n"
    head += f"Authorization: Bearer {TOKEN}\r\nContent-Encoding: gzip\r\nContent-Length: {len(content)}"
    assert set(at_once(running, head, [content])) == {413}
    assert peak_memory(running) - before < REFUSED_BOUND
