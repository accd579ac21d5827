"""A separate port for operators: the public port doesn't serve their pages, however their paths are written."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.processes import Running, start_service
from tests.redis_server import free_port

NOWHERE = "http://127.0.0.1:9"
TOKEN = "a-token-for-tests"
OPERATOR_PATHS = ("/status", "/status/events", "/metrics", "/version", "/health", "/_ah/health")


@pytest.fixture(scope="module")
def operator_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, operator_port: int) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("operator") / "log"
    settings = {"OPERATOR_HOST": "127.0.0.2", "ADMIN_TOKEN": TOKEN, "ROOT_PATH": "/print"}
    running = start_service(NOWHERE, log, RENDER_WORKERS=1, OPERATOR_PORT=operator_port, **settings)
    yield running
    assert running.end() == 0, log.read_text()
    assert '"operator port"' in log.read_text()


@pytest.fixture
def operator(service: Running, operator_port: int) -> str:
    return f"http://127.0.0.2:{operator_port}"


def status_of(address: str, path: str) -> int:
    """Return the status of the response to a path that is sent exactly as given."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 30) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(65_536).split()[1])


@pytest.mark.parametrize("path", OPERATOR_PATHS)
def test_only_the_operator_port_serves_operators(service: Running, operator: str, path: str) -> None:
    assert status_of(service.address, path) == 404
    assert status_of(service.address, f"/print{path}") == 404
    assert status_of(operator, path) != 404


@pytest.mark.parametrize(
    "path",
    [
        "//status",
        "///status",
        "status",
        "/%73tatus",
        "/status%2Fevents",
        "/print//status",
        "/print/print/status",
        "/x/../status",
        "http://127.0.0.1/status",
        "http://127.0.0.1//status",
        "ftp://127.0.0.1/status",
        "x:/status",
        "//127.0.0.1/status",
        "/status?",
        "/status;x",
        "/status/",
        "/STATUS",
        "/metrics/",
    ],
)
def test_no_other_way_of_writing_a_path_reaches_them(service: Running, path: str) -> None:
    assert status_of(service.address, path) in (308, 400, 404)


def test_workers_are_restarted_only_there(service: Running, operator: str) -> None:
    form = {"worker": "worker-1", "token": TOKEN}
    assert httpx.post(f"{service.address}/status/restart", data=form, trust_env=False).status_code == 404
    assert httpx.post(f"{operator}/status/restart", data=form, trust_env=False).status_code == 303


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_both_ports_have_the_probes(service: Running, operator: str, path: str) -> None:
    assert status_of(service.address, path) == status_of(operator, path) != 404


def page(address: str, path: str) -> httpx.Response:
    return httpx.get(address + path, headers={"Accept": "text/html"}, follow_redirects=True, trust_env=False)


@pytest.mark.parametrize("path", ["/", "/resources/grid", "/no"])
def test_public_pages_have_no_links_to_operators_pages(service: Running, path: str) -> None:
    text = page(service.address, path).text
    assert "/print/" in text
    assert not any(f"/print/{name}" in text for name in ("status", "metrics", "version", "health"))


def test_operators_pages_link_to_each_other_and_to_nothing_that_their_port_does_not_serve(operator: str) -> None:
    text = page(operator, "/status").text
    linked = set(re.findall(r'href="/print(/[^"?]*)', text))
    assert linked >= {"/status", "/metrics", "/version", "/health"}
    assert [path for path in linked if page(operator, path).status_code != 200] == []


def test_the_operator_port_must_be_free(service: Running, operator_port: int, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=f"OPERATOR_PORT is {operator_port}: port {operator_port} is in use"):
        start_service(NOWHERE, tmp_path / "log", OPERATOR_PORT=operator_port, OPERATOR_HOST="127.0.0.2")


def test_a_root_path_that_is_one_of_the_services_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ROOT_PATH is '/tasks'"):
        start_service(NOWHERE, tmp_path / "log", ROOT_PATH="/tasks")
