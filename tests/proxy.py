"""A TCP proxy that injects network faults between a client and a real server.

Its `behaviour` applies to open and new connections, and can be changed at any moment. It runs in threads, so that
both synchronous and asynchronous tests can use it.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

POLL_INTERVAL = 0.02  # s until a change of behaviour applies to open connections
PEER_SECONDS = 10  # for a peer to accept data
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What happens to the data.

    pass: it is forwarded
    delay: it is forwarded, each piece `seconds` late
    stall: connections are accepted, and nothing is forwarded (half open); the data is lost
    reset: connections are reset
    cut: the first `size` bytes of a response are forwarded, then the connection is reset
    swallow: requests are forwarded; instead of a response, the client gets a reset
    answer: the client gets `answer`, and the server nothing
    """

    kind: Literal["pass", "delay", "stall", "reset", "cut", "swallow", "answer"] = "pass"
    seconds: float = 0.0
    size: int = 0
    answer: bytes = b""


PASS = Behaviour()
STALL = Behaviour("stall")
RESET = Behaviour("reset")
SWALLOW = Behaviour("swallow")


def http_answer(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Return the behaviour that answers every request with this response."""
    lines = [f"HTTP/1.1 {status} Some Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Behaviour("answer", answer="\r\n".join(lines).encode() + b"\r\n\r\n" + body)


class Proxy:
    """A proxy on a free port of this host, in front of `target` (host, port)."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._behaviour = PASS
        self._times: int | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(POLL_INTERVAL)
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.requests = 0

    def behave(self, behaviour: Behaviour, times: int | None = None) -> None:
        """Change the behaviour: for good, or for the next `times` responses or connections."""
        with self._lock:
            self._behaviour, self._times = behaviour, times

    def retarget(self, target: tuple[str, int]) -> None:
        """Send new connections to another target. Open ones stay where they are, as behind a load balancer."""
        self._target = target

    def has_connections(self) -> bool:
        """Return whether a connection is open."""
        return any(thread.is_alive() for thread in self._threads[1:])

    def _count_use(self) -> None:
        """Count one use of the behaviour, and return to PASS after the last one."""
        with self._lock:
            if self._times is not None:
                self._times -= 1
                if self._times <= 0:
                    self._behaviour, self._times = PASS, None

    def start(self) -> None:
        """Start accepting connections."""
        self._threads[0].start()

    def close(self) -> None:
        """Close every connection, and wait for the threads."""
        self._closed.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        """Serve one connection until it is closed."""
        server: socket.socket | None = None
        stalled = False
        try:
            client.settimeout(PEER_SECONDS)
            while not self._closed.is_set():
                behaviour = self._behaviour
                if behaviour.kind == "stall":
                    stalled = True
                    self._closed.wait(POLL_INTERVAL)
                elif behaviour.kind == "reset" or stalled:
                    self._count_use()
                    _reset(client)
                    return
                elif behaviour.kind == "answer":
                    if _readable(client) and not self._answer(client, behaviour.answer):
                        return
                else:
                    server = server or socket.create_connection(self._target, PEER_SECONDS)
                    if not self._forward(client, server):
                        return
        except OSError:
            _reset(client)
        finally:
            client.close()
            if server is not None:
                server.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> bool:
        """Forward the received data by the current behaviour; returns whether the connection remains open."""
        for source in select.select([client, server], [], [], POLL_INTERVAL)[0]:
            behaviour = self._behaviour
            if behaviour.kind in ("stall", "reset", "answer"):
                return True
            data = source.recv(CHUNK)
            if not data:
                return False
            if behaviour.kind == "delay":
                time.sleep(behaviour.seconds)
            if source is client:
                self._count_request(data)
                server.sendall(data)
            elif behaviour.kind in ("cut", "swallow"):
                self._count_use()
                client.sendall(data[: behaviour.size])
                _reset(client)
                return False
            else:
                client.sendall(data)
        return True

    def _count_request(self, data: bytes) -> None:
        if re.match(rb"(GET|POST|PATCH|DELETE) ", data):
            with self._lock:
                self.requests += 1

    def _answer(self, client: socket.socket, answer: bytes) -> bool:
        """Read one request and send the prepared response; returns whether the client is still connected."""
        request = b""
        while b"\r\n\r\n" not in request:
            request += (data := client.recv(CHUNK))
            if not data:
                return False
        head, _, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
        while length and len(body) < int(length[1]):
            body += (data := client.recv(CHUNK))
            if not data:
                return False
        self._count_request(request)
        self._count_use()
        client.sendall(answer)
        return True


def _readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], POLL_INTERVAL)[0])


def _reset(connection: socket.socket) -> None:
    """Close with a reset; unsent data is discarded."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def proxy(address: str) -> Iterator[Proxy]:
    """Run a proxy in front of an address (http://host:port, redis://host:port/0)."""
    found = re.fullmatch(r"[a-z]+://([0-9.]+):([0-9]+)(/.*)?", address)
    assert found, address
    running = Proxy((found[1], int(found[2])))
    running.start()
    try:
        yield running
    finally:
        running.close()
