"""DNS rebinding: another site's name resolves to our address, so that its page may read our responses."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.processes import Running, start_service

EVIL = "rebound.attacker.example"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rebinding") / "log"


@pytest.fixture(scope="module")
def service(log: Path) -> Iterator[Running]:
    running = start_service(NOWHERE, log, RENDER_WORKERS=1, ALLOWED_HOSTS="print.example.org")
    yield running
    assert running.end() == 0, log.read_text()


def exchange(service: Running, request: str) -> str:
    """Send the bytes of a request, and return the response."""
    with socket.create_connection(("127.0.0.1", int(service.address.rpartition(":")[2])), 30) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        response = b""
        while part := connection.recv(65_536):
            response += part
    return response.decode("latin-1")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/status"),
        ("GET", "/metrics"),
        ("GET", "/version"),
        ("GET", "/status/events"),
        ("GET", "/openapi.json"),
        ("GET", "/tasks/web-0"),
        ("GET", "/static/style.css"),
        ("POST", "/render"),
        ("POST", "/tasks"),
        ("POST", "/status/restart"),
        ("POST", "/resources/grid/tasks"),
        ("GET", "/no/such/page"),
    ],
)
def test_a_page_of_a_rebound_name_reads_nothing(service: Running, method: str, path: str) -> None:
    response = httpx.request(method, service.address + path, headers={"Host": f"{EVIL}:8080"}, trust_env=False)
    assert response.status_code == 421
    problem = response.json()
    assert problem["code"] == "unknown_host"
    assert EVIL in problem["detail"]
    assert "ALLOWED_HOSTS" in problem["detail"]
    assert "x-content-type-options" in response.headers


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (f"GET http://{EVIL}/version HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n", 421),
        ("GET http://user@127.0.0.1/version HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n", 421),
        (f"GET http://127.0.0.1@{EVIL}/version HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n", 421),
        (f"GET /version HTTP/1.1\nHost: {EVIL}\nHost: 127.0.0.1\nConnection: close\n\n", 400),
        (f"GET /version HTTP/1.1\nHost: 127.0.0.1\nX-Forwarded-Host: {EVIL}\nConnection: close\n\n", 200),
        (f"GET /version HTTP/1.1\nHost: {EVIL}\nX-Forwarded-Host: 127.0.0.1\nConnection: close\n\n", 421),
        (f"GET /version HTTP/1.1\nHost: {EVIL}\nForwarded: host=127.0.0.1\nConnection: close\n\n", 421),
        (f"GET /version HTTP/1.0\nHost: {EVIL}\n\n", 421),
        ("GET http://127.0.0.1/version HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n", 200),
        ("GET /version HTTP/1.1\nHost: PRINT.example.org.:443\nConnection: close\n\n", 200),
        (f"GET /version HTTP/1.1\nHost: {socket.gethostname()}\nConnection: close\n\n", 200),
        (f"GET /livez HTTP/1.1\nHost: {EVIL}\nConnection: close\n\n", 200),
        (f"GET //livez HTTP/1.1\nHost: {EVIL}\nConnection: close\n\n", 200),
        (f"GET //version HTTP/1.1\nHost: {EVIL}\nConnection: close\n\n", 421),
        (f"GET /livez/../version HTTP/1.1\nHost: {EVIL}\nConnection: close\n\n", 421),
    ],
)
def test_no_other_way_of_writing_a_host_gets_around_it(service: Running, request_text: str, status: int) -> None:
    assert exchange(service, request_text).startswith(f"HTTP/1.1 {status} ")


def test_the_operator_finds_the_refused_name_in_the_log(service: Running, log: Path) -> None:
    for _ in range(2):
        httpx.get(service.address, headers={"Host": "new.example.org"}, trust_env=False)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    refused = [line for line in lines if line["event"] == "host refused" and line["host"] == "new.example.org"]
    assert [line["setting"] for line in refused] == ["ALLOWED_HOSTS"]
