"""The delays for clients with wrong tokens, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from emulator.admission import guessing
from emulator.admission.guessing import FORGIVEN_SECONDS, FREE_ATTEMPTS, MAX_CLIENTS, MAX_DELAY, MAX_WAIT, Guessing
from emulator.permissions.clients import client_name
from emulator.permissions.tokens import Tokens, read_token_file
from emulator.wire.errors import ApiError

RIGHT = "render-token-0123456789"
OTHER = "other-token-0123456789"
Attempt = Callable[..., Awaitable[tuple[int, float]]]


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    (tmp_path / "tokens.yaml").write_text(f"render@example.org: [{RIGHT}, {OTHER}]\n")
    return read_token_file(tmp_path / "tokens.yaml")


@pytest.fixture
def guesses() -> Guessing:
    return Guessing()


@pytest.fixture
def attempt(tokens: Tokens, guesses: Guessing) -> Attempt:
    async def attempt(token: str = "wrong-token-0123456789", client: str = "a") -> tuple[int, float]:
        """Return the status of an attempt, and how long it took (s)."""
        began = trio.current_time()
        try:
            await guesses.holder(tokens, {"authorization": f"Bearer {token}"}, client, page=False)
        except ApiError as error:
            return error.status, trio.current_time() - began
        return 200, trio.current_time() - began

    return attempt


async def test_delays_begin_after_some_failures_and_grow_to_a_limit(
    attempt: Attempt, autojump_clock: trio.testing.MockClock
) -> None:
    seconds = [(await attempt())[1] for _ in range(FREE_ATTEMPTS + 8)]
    assert seconds[:FREE_ATTEMPTS] == [0.0] * FREE_ATTEMPTS
    delays = seconds[FREE_ATTEMPTS:]
    assert delays[0] > 0
    assert delays == sorted(delays)
    assert delays[-1] == pytest.approx(MAX_DELAY)


async def test_another_client_is_not_delayed(attempt: Attempt, autojump_clock: trio.testing.MockClock) -> None:
    for _ in range(30):
        await attempt()
    assert await attempt(RIGHT, "b") == (200, 0.0)
    assert await attempt(client="b") == (401, 0.0)


async def test_a_right_token_waits_for_a_second_at_most_and_then_no_more(
    attempt: Attempt, autojump_clock: trio.testing.MockClock
) -> None:
    assert await attempt(OTHER) == (200, 0.0)
    for _ in range(30):
        await attempt()
    status, seconds = await attempt(RIGHT)
    assert (status, seconds <= MAX_DELAY + 1e-6) == (200, True)
    assert await attempt(RIGHT) == (200, 0.0)
    assert await attempt(OTHER) == (200, 0.0)


async def test_a_right_token_does_not_make_guessing_faster(
    attempt: Attempt, autojump_clock: trio.testing.MockClock
) -> None:
    for _ in range(20):
        await attempt()
    await attempt(RIGHT)
    assert (await attempt())[1] == pytest.approx(MAX_DELAY)


async def test_parallel_attempts_wait_for_each_other_and_are_refused_unread(
    attempt: Attempt, autojump_clock: trio.testing.MockClock
) -> None:
    results: list[tuple[int, float]] = []

    async def run() -> None:
        results.append(await attempt())

    for _ in range(30):
        await attempt()
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(run)
    refused = [seconds for status, seconds in results if status == 429]
    assert refused == [0.0] * len(refused)
    assert len(results) - len(refused) <= MAX_WAIT / MAX_DELAY + 2


async def test_failures_are_forgiven_after_a_while(attempt: Attempt, autojump_clock: trio.testing.MockClock) -> None:
    for _ in range(30):
        await attempt()
    await trio.sleep(FORGIVEN_SECONDS + 1)
    assert await attempt() == (401, 0.0)


async def test_the_memory_for_clients_is_bounded(
    attempt: Attempt,
    guesses: Guessing,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(guessing, "MAX_CLIENTS", 50)
    for number in range(200):
        await attempt(client=str(number))
        await attempt(RIGHT, str(number))
    assert len(guesses._records) == len(guesses._known) == 50
    assert len(caplog.records) == guessing.LOG_LINES
    await trio.sleep(61)
    await attempt(client="last")
    assert caplog.records[-1].getMessage().endswith("180 earlier lines left out")
    assert MAX_CLIENTS > 50


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("x", "unknown"),
    ],
)
def test_the_addresses_of_an_ipv6_network_are_one_client(address: str, name: str) -> None:
    assert client_name(address) == name
