"""A minimal client of the queue on one raw socket, so that benchmarks measure mainly the server."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

PROJECT = "/taskqueue/v1beta2/projects/bench/taskqueues"
PAYLOAD = "eyJraW5kIjogInRhc2sjcmVuZGVyIiwgInJlc291cmNlX3ZpZXciOiAiYmluYXJ5X2NhcmRzIn0="
_END = b"\r\n\r\n"


@dataclass
class Times:
    """The work of one client: the seconds of its requests by kind, and the IDs that it leased."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"insert": [], "lease": [], "delete": []})
    ids: list[str] = field(default_factory=list)


class Client:
    """One connection."""

    def __init__(self, address: str, queue: str) -> None:
        parts = urlsplit(address)
        self._tasks = f"{PROJECT}/{queue}/tasks"
        self._head = f" HTTP/1.1\r\nHost: {parts.netloc}\r\n".encode()
        self._socket = socket.create_connection((str(parts.hostname), int(parts.port or 80)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.times = Times()

    def insert(self, task_id: str) -> None:
        """Insert a task."""
        body = b'{"id":"%b","payloadBase64":"%b"}' % (task_id.encode(), PAYLOAD.encode())
        self._timed("insert", b"POST", self._tasks, body, 200)

    def lease(self, count: int, wait: int = 0) -> list[str]:
        """Lease tasks; return their IDs."""
        headers = f"Prefer: wait={wait}\r\n".encode() if wait else b""
        target = f"{self._tasks}/lease?numTasks={count}&leaseSecs=600"
        reply = self._timed("lease", b"POST", target, b"", 200, headers)
        return [item["id"] for item in msgspec.json.decode(reply).get("items", [])]

    def delete(self, task_id: str) -> None:
        """Delete a task."""
        self._timed("delete", b"DELETE", f"{self._tasks}/{task_id}", b"", 204)

    def work(self, batch: int) -> None:
        """Lease and delete tasks until the queue is empty."""
        while ids := self.lease(batch):
            self.times.ids += ids
            for task_id in ids:
                self.delete(task_id)

    def _timed(self, kind: str, method: bytes, target: str, body: bytes, expected: int, headers: bytes = b"") -> bytes:
        started = time.perf_counter()
        length = b"Content-Length: %d\r\n" % len(body) if body or method == b"POST" else b""
        self._socket.sendall(method + b" " + target.encode() + self._head + headers + length + b"\r\n" + body)
        status, reply = self._reply()
        self.times.seconds[kind].append(time.perf_counter() - started)
        if status != expected:
            raise RuntimeError(f"{method!r} {target}: {status} {reply!r}")
        return reply

    def _reply(self) -> tuple[int, bytes]:
        data = b""
        while (end := data.find(_END)) < 0:
            data += self._more()
        status, length = int(data[9:12]), 0
        for line in data[:end].split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = data[end + len(_END) :]
        while len(body) < length:
            body += self._more()
        return status, body

    def _more(self) -> bytes:
        data = self._socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def percentiles(seconds: list[float]) -> str:
    """Return the median and the 99th percentile in milliseconds."""
    ordered: list[Any] = sorted(seconds)
    p50, p99 = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    return f"p50 {p50 * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms"
