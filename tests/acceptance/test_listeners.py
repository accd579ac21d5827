"""Many clients that open streams of events and never read: limited in number, and no obstacle to the shutdown."""

from __future__ import annotations

import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.processes import Running, queue, start_service

MAX_LISTENERS = 200
PER_CLIENT = MAX_LISTENERS // 4
TIMEOUT = 20.0


def listen(service: Running, path: str = "/status/events", status: int = 200) -> socket.socket:
    """Open a stream of events, and read only its first bytes."""
    host, port = service.address.removeprefix("http://").split(":")
    stream = socket.create_connection((host, int(port)), TIMEOUT)
    stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert stream.recv(12) == f"HTTP/1.1 {status}".encode()
    return stream


def test_streams_are_limited_and_released_and_do_not_delay_the_shutdown(tmp_path: Path) -> None:
    with ExitStack() as stack, queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running_queue:
        service = start_service(
            running_queue.address, tmp_path / "log", WEB_LISTENERS=MAX_LISTENERS, SHUTDOWN_SECONDS=15
        )
        stack.callback(service.end, signal.SIGKILL)
        client = stack.enter_context(httpx.Client(base_url=service.address, trust_env=False))
        streams = [stack.enter_context(listen(service)) for _ in range(PER_CLIENT)]
        refused = client.get("/status/events")
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert client.get("/health").json()["status"] == "ok"
        # A client disconnects. As soon as the server notices, another client can open a stream.
        streams.pop().close()
        deadline = time.monotonic() + TIMEOUT
        with ExitStack() as next_stack:
            while True:
                response = next_stack.enter_context(client.stream("GET", "/status/events"))
                if response.status_code == 200:
                    break
                assert time.monotonic() < deadline, "the closed stream is still counted"
                response.read()
                time.sleep(0.02)
        assert service.end(signal.SIGTERM) == 0, "70 would mean that the open streams delayed the shutdown"
        assert '"stopped"' in (tmp_path / "log").read_text()


def test_visitors_who_take_all_streams_leave_those_of_operators(tmp_path: Path) -> None:
    with ExitStack() as stack, queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running_queue:
        service = start_service(running_queue.address, tmp_path / "log", WEB_LISTENERS=1, RENDER_WORKERS=1)
        stack.callback(service.end, signal.SIGKILL)
        with httpx.Client(base_url=running_queue.address, trust_env=False) as client:
            task_id = f"web-{0:032}"
            queues = "/v2beta2/projects/render/locations/here/queues"
            assert client.post(f"{queues}/render:pause").status_code == 200  # so that the stream stays open
            inserted = client.post(
                "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks",
                json={"id": task_id, "payloadBase64": "e30=", "tag": "web-task"},
            )
            assert inserted.status_code == 200
        for status in (200, 429):
            stack.enter_context(listen(service, f"/tasks/{task_id}/events", status))
        stack.enter_context(listen(service))
