"""Many who listen, and read nothing: they are counted, bounded, noticed when they go, and hold up nothing."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.processes import Running, queue, start_service

MOST = 50
PATIENCE = 20.0


def listen(service: Running) -> socket.socket:
    """Open a stream of events, read its first bytes, and none after."""
    host, port = service.address.removeprefix("http://").split(":")
    stream = socket.create_connection((host, int(port)), PATIENCE)
    stream.sendall(f"GET /status/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert stream.recv(12) == b"HTTP/1.1 200"
    return stream


def test_listeners_are_bounded_and_dropped_and_the_service_ends_in_time(tmp_path: Path) -> None:
    with ExitStack() as stack, queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running_queue:
        service = start_service(running_queue.address, tmp_path / "log", WEB_LISTENERS=MOST, SHUTDOWN_SECONDS=15)
        stack.callback(service.end, signal.SIGKILL)
        client = stack.enter_context(httpx.Client(base_url=service.address, trust_env=False))
        streams = [stack.enter_context(listen(service)) for _ in range(MOST)]
        refused = client.get("/status/events")
        assert (refused.status_code, refused.json()["code"]) == (503, "too_many_listeners")
        assert client.get("/health").json()["status"] == "ok"
        # One goes without a word; its place is free for another as soon as that is noticed.
        streams.pop().close()
        deadline = time.monotonic() + PATIENCE
        with ExitStack() as next_stack:
            while True:
                response = next_stack.enter_context(client.stream("GET", "/status/events"))
                if response.status_code == 200:
                    break
                assert time.monotonic() < deadline, "the place of who went was not given back"
                response.read()
                time.sleep(0.02)
        assert service.end(signal.SIGTERM) == 0, "70 would say that the listeners held it up"
        assert '"stopped"' in (tmp_path / "log").read_text()
