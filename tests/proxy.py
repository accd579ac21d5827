"""A TCP proxy that misbehaves on demand: it stands where a network would, in front of a real server.

What it does to connections, open and new ones, is its `behaviour`, which can be changed at any moment.
It runs in threads, so it serves tests of every kind.
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

POLL_INTERVAL = 0.02  # how soon a change of behaviour reaches connections that are open
PEER_SECONDS = 10  # for a peer to take what it is sent
CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What becomes of what is sent.

    pass: handed on
    delay: handed on, each piece `seconds` late
    stall: connected, and silence (half open); what was sent into it is lost
    reset: connections are reset
    cut: of an answer the first `size` bytes come, then a reset
    swallow: the server does as it is asked, but its answer never comes
    answer: `answer` instead of the server's own
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
    """Return the behaviour that gives this answer to every request."""
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
        """Change what happens; with `times` only to so many answers or connections, then all is passed again."""
        with self._lock:
            self._behaviour, self._times = behaviour, times

    def _strike(self) -> None:
        """Count one more time that the misbehaviour has hit."""
        with self._lock:
            if self._times is not None:
                self._times -= 1
                if self._times <= 0:
                    self._behaviour, self._times = PASS, None

    def start(self) -> None:
        """Take connections."""
        self._threads[0].start()

    def close(self) -> None:
        """End every connection, and wait for the threads."""
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
            self._threads.append(threading.Thread(target=self._carry, args=(client,)))
            self._threads[-1].start()

    def _carry(self, client: socket.socket) -> None:
        """Carry one connection to its end; a peer that goes away ends it."""
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
                    self._strike()
                    _reset(client)
                    return
                elif behaviour.kind == "answer":
                    if _readable(client) and not self._answer(client, behaviour.answer):
                        return
                else:
                    server = server or socket.create_connection(self._target, PEER_SECONDS)
                    if not self._hand_on(client, server):
                        return
        except OSError:
            _reset(client)
        finally:
            client.close()
            if server is not None:
                server.close()

    def _hand_on(self, client: socket.socket, server: socket.socket) -> bool:
        """Hand on what has come, by the behaviour at that moment; returns whether the connection goes on."""
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
                self._count(data)
                server.sendall(data)
            elif behaviour.kind in ("cut", "swallow"):
                self._strike()
                client.sendall(data[: behaviour.size])
                _reset(client)
                return False
            else:
                client.sendall(data)
        return True

    def _count(self, data: bytes) -> None:
        if re.match(rb"(GET|POST|PATCH|DELETE) ", data):
            with self._lock:
                self.requests += 1

    def _answer(self, client: socket.socket, answer: bytes) -> bool:
        """Read one request and give the prepared answer to it; returns whether the client is still there."""
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
        self._count(request)
        self._strike()
        client.sendall(answer)
        return True


def _readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], POLL_INTERVAL)[0])


def _reset(connection: socket.socket) -> None:
    """Close with a reset: what was not sent yet is dropped."""
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
