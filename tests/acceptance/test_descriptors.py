"""More clients than file descriptors, each of which sends half a request: both servers still answer health checks."""

from __future__ import annotations

import re
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.processes import Running, queue, start_queue, start_service

DESCRIPTORS = 1024
CLIENTS = 1100
HALVES = {
    "head": b"POST /render HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
    "body": b"POST /batch HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
}
SERVICE = (
    "-c",
    "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); "
    "sys.argv[1:] = ['serve']; runpy.run_module('render_trio', run_name='__main__', alter_sys=True)",
)
LIMITED = ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}", "--")


@pytest.fixture(autouse=True)
def _descriptors_for_clients() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS + 400
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def half_sent(server: Running, half: bytes) -> Iterator[None]:
    """Connect CLIENTS clients, each of which has sent half a request."""
    host, port = server.address.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            client = stack.enter_context(socket.create_connection((host, int(port)), 20))
            client.sendall(half)
        yield


def assert_well(server: Running, log: Path) -> None:
    with httpx.Client(base_url=server.address, trust_env=False, timeout=20) as client:
        for _ in range(5):
            assert client.get("/livez").status_code == 200
    text = log.read_text()
    assert "Traceback" not in text
    assert not re.search("too many open files", text, re.IGNORECASE)


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("processes", [1, 2])
def test_the_queue_answers_with_more_clients_than_descriptors(half: bytes, processes: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    store = f"sqlite:///{tmp_path / 'queue.sqlite3'}"
    server = start_queue(store, "--processes", str(processes), log=log, prefix=LIMITED)
    try:
        with half_sent(server, half):
            assert_well(server, log)
    finally:
        assert server.end() == 0


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_the_service_answers_with_more_clients_than_descriptors(half: bytes, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running_queue:
        service = start_service(running_queue.address, log, program=SERVICE)
        try:
            with half_sent(service, half):
                assert_well(service, log)
        finally:
            assert service.end() == 0
