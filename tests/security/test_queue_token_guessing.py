"""Guessing tokens of the queue. 0.1.0 checked 1,000 tokens in one batch within 0.16 s."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio
import trio.lowlevel

from emulator.permissions.tokens import Tokens
from tests.emulator.server.running import TASKS, emulator

RIGHT = "render-token-0123456789"
GUESS = "guess-token-000000{:04}"


@pytest.fixture
def files(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / "tokens.yaml").write_text(f"render@example.org: {RIGHT}\n")
    return {"token_file": str(tmp_path / "tokens.yaml")}


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that were compared with those of the file."""
    checked: list[str] = []
    original = Tokens.holder

    def holder(self: Tokens, token: str) -> str | None:
        checked.append(token)
        return original(self, token)

    monkeypatch.setattr(Tokens, "holder", holder)
    return checked


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def batch(tokens: list[str]) -> str:
    """Return a batch of leases, each with a token of its own."""
    parts = []
    for token in tokens:
        head = f"GET {TASKS} HTTP/1.1\r\nAuthorization: Bearer {token}"
        parts.append(f"--x\r\nContent-Type: application/http\r\n\r\n{head}\r\n\r\n\r\n")
    return "".join(parts) + "--x--\r\n"


MIXED = {"Content-Type": "multipart/mixed; boundary=x"}


@pytest.mark.parametrize("own", [{}, bearer("wrong-token-0123456789"), bearer(RIGHT)])
async def test_a_batch_is_one_attempt(
    store: str, files: Mapping[str, str], checked: list[str], own: dict[str, str]
) -> None:
    async with emulator(store, **files) as client:
        content = batch([GUESS.format(number) for number in range(999)] + [RIGHT])
        reply = await client.post("/batch", content=content, headers=MIXED | own)
        assert len(checked) <= 1
        if own == bearer(RIGHT):
            assert reply.text.count("HTTP/1.1 403") == 999
            assert reply.text.count("HTTP/1.1 200") == 1  # the part with the token of the batch itself
        else:
            assert reply.status_code == 401


async def test_attempts_are_slowed_down(store: str, files: Mapping[str, str], checked: list[str]) -> None:
    """However many connections are used: they are made one after another, and most are refused unread."""
    async with emulator(store, **files) as client:
        statuses: list[int] = []

        async def guess(number: int) -> None:
            statuses.append((await client.get(TASKS, headers=bearer(GUESS.format(number)))).status_code)

        async with trio.open_nursery() as nursery:
            for number in range(90):
                nursery.start_soon(guess, number)
        assert set(statuses) == {401, 429}
        assert len(checked) == statuses.count(401) <= 20


async def test_a_program_behind_the_same_address_goes_on(store: str, files: Mapping[str, str]) -> None:
    """A school has one address. A token that was used from there is never delayed; a new right one is accepted."""
    async with emulator(store, **files) as client:
        assert (await client.get(TASKS, headers=bearer(RIGHT))).status_code == 200
        async with trio.open_nursery() as nursery:
            for number in range(90):
                nursery.start_soon(lambda n=number: client.get(TASKS, headers=bearer(GUESS.format(n))))  # type: ignore[misc]
            assert (await client.get(TASKS, headers=bearer(RIGHT))).status_code == 200
    async with emulator(store, **files) as client:
        for number in range(12):
            await client.get(TASKS, headers=bearer(GUESS.format(number)))
        assert (await client.get(TASKS, headers=bearer(RIGHT))).status_code == 200


async def test_attempts_are_logged_without_the_tokens(
    store: str, files: Mapping[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    basic = base64.b64encode(b"someone:" + GUESS.format(0).encode()).decode()
    async with emulator(store, **files) as client:
        with caplog.at_level(logging.WARNING, "emulator"):
            for headers in (*[bearer(GUESS.format(1))] * 9, {"Authorization": f"Basic {basic}"}):
                assert (await client.get(TASKS, headers=headers)).status_code == 401
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["wrong token: client 127.0.0.1, attempt 1", "wrong token: client 127.0.0.1, attempt 10"]
    assert "guess-token" not in caplog.text


@pytest.mark.parametrize("path", ["/", "/metrics", "/admin/reset", TASKS, "/batch", "/nowhere"])
async def test_every_path_counts(store: str, files: Mapping[str, str], checked: list[str], path: str) -> None:
    async with emulator(store, **files) as client:
        for number in range(10):
            reply = await client.post(path, headers=bearer(GUESS.format(number)))
            assert reply.status_code == 401
        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(lambda n=number: client.post(path, headers=bearer(GUESS.format(n))))  # type: ignore[misc]
        assert len(checked) <= 20


async def test_an_address_that_a_client_claims_is_not_its_own(
    store: str, files: Mapping[str, str], checked: list[str]
) -> None:
    async with emulator(store, **files) as client:
        async with trio.open_nursery() as nursery:
            for number in range(60):
                headers = bearer(GUESS.format(number)) | {"X-Forwarded-For": f"192.0.2.{number}"}
                nursery.start_soon(lambda given=headers: client.get(TASKS, headers=given))  # type: ignore[misc]
        assert len(checked) <= 20


async def test_clients_behind_a_trusted_proxy_are_counted_apart(store: str, files: Mapping[str, str]) -> None:
    async with emulator(store, trusted_proxies=("127.0.0.1",), **files) as client:
        async with trio.open_nursery() as nursery:
            for number in range(60):
                headers = bearer(GUESS.format(number)) | {"X-Forwarded-For": "192.0.2.1"}
                nursery.start_soon(lambda given=headers: client.get(TASKS, headers=given))  # type: ignore[misc]
            await trio.lowlevel.checkpoint()
        for token, status in ((RIGHT, 200), (GUESS.format(0), 401)):
            reply = await client.get(TASKS, headers=bearer(token) | {"X-Forwarded-For": "192.0.2.2"})
            assert reply.status_code == status


async def test_a_head_without_a_token_is_no_attempt(store: str, files: Mapping[str, str], checked: list[str]) -> None:
    async with emulator(store, **files) as client:
        for _ in range(30):
            assert (await client.get("/")).status_code == 401
        assert checked == []
