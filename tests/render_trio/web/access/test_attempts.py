"""Wrong tokens are delayed per client, longer each time; other clients are not delayed."""

from __future__ import annotations

from structlog.testing import capture_logs

from render_trio.web.access import attempts
from render_trio.web.access.attempts import Attempts, Verdict
from render_trio.web.access.tokens import Tokens

TOKEN = "right-token-0123456789"
ACCEPTED = Verdict(True)
CLIENT, OTHER = "192.0.2.1", "192.0.2.2"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def new() -> tuple[Attempts, Tokens, Clock]:
    clock = Clock()
    return Attempts(clock), Tokens("WEB_TOKEN", TOKEN), clock


def guess(some: Attempts, tokens: Tokens, clock: Clock, count: int) -> list[float]:
    """Present wrong tokens one after another, each once the response to the one before has arrived."""
    delays = []
    for number in range(count):
        verdict = some.check(tokens, f"wrong-token-{number}", CLIENT)
        assert not verdict.accepted
        delays.append(verdict.delay)
        clock.now += verdict.delay
    return delays


def test_the_delay_doubles_up_to_a_limit() -> None:
    delays = guess(*new(), 8)
    assert delays == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_a_correct_token_and_other_clients_are_not_delayed() -> None:
    some, tokens, clock = new()
    guess(some, tokens, clock, 50)
    assert some.check(tokens, TOKEN, CLIENT) == ACCEPTED
    assert some.check(tokens, "wrong", OTHER).delay == 0.25


def test_a_correct_token_does_not_forgive_wrong_ones() -> None:
    some, tokens, clock = new()
    guess(some, tokens, clock, 5)
    some.check(tokens, TOKEN, CLIENT)
    assert some.check(tokens, "wrong", CLIENT).delay == 8.0


def test_wrong_tokens_are_forgiven_after_a_time() -> None:
    some, tokens, clock = new()
    guess(some, tokens, clock, 5)
    clock.now += attempts.FORGET_SECONDS + 1
    assert some.check(tokens, "wrong", CLIENT).delay == 0.25


def test_parallel_attempts_wait_for_each_other_and_then_are_not_compared() -> None:
    some, tokens, clock = new()
    verdicts = [some.check(tokens, f"wrong-{number}", CLIENT) for number in range(1000)]
    compared = [verdict for verdict in verdicts if not verdict.retry_after]
    assert [verdict.delay for verdict in compared] == [0.25, 0.75, 1.75, 3.75, 7.75]
    assert {verdict.retry_after for verdict in verdicts[5:]} == {8}
    assert not some.check(tokens, TOKEN, CLIENT).accepted, "a guess that is right doesn't reveal it"
    assert some.check(tokens, TOKEN, OTHER) == ACCEPTED
    clock.now += 8
    assert some.check(tokens, TOKEN, CLIENT) == ACCEPTED


def test_a_token_that_was_accepted_before_is_accepted_during_an_attack_from_its_address() -> None:
    some, tokens, _ = new()
    assert some.check(tokens, TOKEN, CLIENT) == ACCEPTED
    for number in range(100):
        some.check(tokens, f"wrong-{number}", CLIENT)
    assert some.check(tokens, TOKEN, CLIENT) == ACCEPTED


def test_a_token_that_was_removed_is_not_accepted_although_it_was_before() -> None:
    some, tokens, _ = new()
    assert some.check(tokens, TOKEN, CLIENT) == ACCEPTED
    other = Tokens("WEB_TOKEN", "another-token-012345")
    assert not some.check(other, TOKEN, CLIENT).accepted


def test_memory_is_bounded_and_the_clients_that_attack_now_are_remembered() -> None:
    some, tokens, clock = new()
    for number in range(attempts.MAX_CLIENTS + 100):
        some.check(tokens, "wrong", f"client-{number}")
        some.check(tokens, TOKEN, f"client-{number}")
        if number % 1000 == 0:
            clock.now += 1
            some.check(tokens, "wrong", CLIENT)
    assert len(some._clients) == attempts.MAX_CLIENTS
    assert len(some._accepted) == attempts.MAX_ACCEPTED
    assert some.check(tokens, "wrong", CLIENT).retry_after > 0, "it had eleven wrong tokens, most of which wait"


def test_the_log_is_bounded_and_contains_no_token() -> None:
    some, tokens, clock = new()
    with capture_logs() as lines:
        for number in range(1000):
            some.check(tokens, "wrong-token-of-a-client", f"client-{number}")
        clock.now += attempts.LOG_SECONDS + 1
        some.check(tokens, "wrong", CLIENT)
    assert len(lines) == attempts.LOG_LINES + 1
    assert lines[0] == {
        "event": "wrong token",
        "log_level": "warning",
        "setting": "WEB_TOKEN",
        "client": "client-0",
        "attempts": 1,
        "unlogged": 0,
    }
    assert lines[-1]["unlogged"] == 1000 - attempts.LOG_LINES
    assert "wrong-token-of-a-client" not in str(lines)
