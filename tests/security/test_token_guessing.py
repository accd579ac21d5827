"""Attack: an attacker guesses tokens, many at once, and gets nowhere, while everyone else is served."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.processes import Running, queue, start_service

ADMIN, OLD, NEW = "admin-token-0123456789", "old-token-0123456789", "new-token-0123456789"
GUESSES = 300
ORDER = {"resource_view": "grid"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guessing")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Running]:
    (folder / "tokens").write_text(f"{OLD}\n")
    with queue(f"sqlite:///{folder / 'queue.sqlite3'}") as running:
        service = start_service(
            running.address,
            folder / "log",
            WEB_TOKEN_FILE=str(folder / "tokens"),
            ADMIN_TOKEN=ADMIN,
            RENDER_WORKERS=1,
            HOST="127.0.0.1",
        )
        try:
            yield service
        finally:
            service.end()


@pytest.fixture
def client(service: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.address, trust_env=False, timeout=60) as client:
        yield client


def test_programs_need_a_token_and_visitors_use_the_pages_without_one(client: httpx.Client) -> None:
    for path in ("/render", "/tasks"):
        response = client.post(path, json=ORDER)
        assert (response.status_code, response.json()["code"]) == (401, "token_required")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="render-trio"'
        assert response.headers["Content-Type"] == "application/problem+json"
    assert client.post("/render", json=ORDER, headers=bearer(OLD)).content.startswith(b"%PDF")
    assert client.get("/resources/grid.pdf").content.startswith(b"%PDF")
    assert client.post("/resources/grid/tasks", data={}).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", OLD)],
        [("Authorization", f"Basic {OLD}")],
        [("Authorization", "Bearer")],
        [("Authorization", f"Bearer {OLD} {OLD}")],
        [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {OLD}")],
        [("Cookie", f"token={OLD}")],
    ],
)
def test_a_token_anywhere_else_than_in_one_header_is_none(client: httpx.Client, headers: list[tuple[str, str]]) -> None:
    assert client.post("/render", json=ORDER, headers=headers).status_code == 401
    assert client.post("/render", json=ORDER, params={"access_token": OLD}).status_code == 401


@pytest.mark.parametrize("path", ["//render", "/render?x", "/%72ender", "http://localhost/render;x"])
def test_no_other_spelling_of_the_address_avoids_the_token(service: Running, path: str) -> None:
    host, port = service.address.removeprefix("http://").split(":")
    body = b'{"resource_view": "grid"}'
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), 20) as connection, connection.makefile("rb") as answer:
        connection.sendall(head.encode() + body)
        assert b"%PDF" not in answer.read()


def test_a_large_body_without_a_token_is_answered_without_being_read(service: Running) -> None:
    host, port = service.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as connection, connection.makefile("rb") as answer:
        connection.sendall(
            b"POST /render HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n" + b"x" * 1000  # and no more
        )
        assert answer.readline() == b"HTTP/1.1 401 \r\n"


def test_parallel_guesses_are_not_even_compared_and_nobody_else_waits(
    service: Running, client: httpx.Client, folder: Path
) -> None:
    assert client.post("/render", json=ORDER, headers=bearer(OLD)).status_code == 200
    local = httpx.HTTPTransport(local_address="127.0.0.2")  # the attacker's address; other clients have 127.0.0.1
    with httpx.Client(base_url=service.address, transport=local, timeout=60) as attacker:
        tokens = [f"guessed-token-{number:06}" for number in range(GUESSES)]

        def guess(token: str) -> int:
            return attacker.post("/render", json=ORDER, headers=bearer(token)).status_code

        with ThreadPoolExecutor(10) as pool:
            started = time.monotonic()
            guesses = [pool.submit(guess, token) for token in tokens]
            while not any(one.done() and one.result() == 429 for one in guesses):
                time.sleep(0.01)
            # The right token among too many guesses isn't recognised.
            assert guess(OLD) == 429
            assert client.post("/render", json=ORDER, headers=bearer(OLD)).status_code == 200
            statuses = [one.result() for one in guesses]
            seconds = time.monotonic() - started
    compared = statuses.count(401)
    assert statuses.count(429) == GUESSES - compared
    assert compared <= 5 + seconds / 8 + 1, "5 wait at most, and then one is compared every 8 s"
    log = (folder / "log").read_text()
    assert '"wrong token"' in log
    assert '"client": "127.0.0.2"' in log
    assert "guessed-token" not in log
    assert OLD not in log


def test_the_form_that_restarts_workers_is_protected_in_the_same_way(service: Running, folder: Path) -> None:
    local = httpx.HTTPTransport(local_address="127.0.0.3")
    with httpx.Client(base_url=service.address, transport=local, timeout=60) as attacker:

        def guess(token: str) -> int:
            return attacker.post("/status/restart", data={"worker": "worker-1", "token": token}).status_code

        with ThreadPoolExecutor(10) as pool:
            statuses = list(pool.map(guess, [f"guessed-{number}" for number in range(40)]))
    assert 429 in statuses
    assert set(statuses) == {403, 429}
    assert statuses.count(403) < 10
    with httpx.Client(base_url=service.address, trust_env=False) as operator:
        assert operator.post("/status/restart", data={"worker": "worker-1", "token": ADMIN}).status_code == 303


def test_tokens_are_changed_without_dropping_a_request(client: httpx.Client, folder: Path) -> None:
    def write(*tokens: str) -> None:
        (folder / "next").write_text("\n".join(tokens))
        (folder / "next").replace(folder / "tokens")

    def status(token: str) -> int:
        return client.post("/render", json=ORDER, headers=bearer(token)).status_code

    with ThreadPoolExecutor(4) as pool:
        old = [pool.submit(status, OLD) for _ in range(20)]
        write(OLD, NEW)
        both = [pool.submit(status, token) for token in [OLD, NEW] * 10]
        assert {one.result() for one in (*old, *both)} == {200}
    write(NEW)
    assert (status(OLD), status(NEW)) == (401, 200)
    write("no token")
    assert status(NEW) == 200
    assert '"token file not read"' in (folder / "log").read_text()
