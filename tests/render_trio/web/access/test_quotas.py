"""A quota limits all clients together and each one, and forgets clients that have nothing."""

from __future__ import annotations

import pytest

from render_trio.web.access.quotas import Quota, QuotaError


def quota() -> Quota:
    return Quota("event streams", total=5, per_client=3, retry_after=7)


def test_one_client_leaves_room_for_others() -> None:
    streams = quota()
    for _ in range(3):
        streams.take("greedy")
    with pytest.raises(QuotaError, match=r"event streams of this client: 3 allowed at a time") as refused:
        streams.take("greedy")
    assert refused.value.retry_after == 7
    streams.take("other", 2)
    assert (streams.used, streams.used_by("greedy"), streams.used_by("other")) == (5, 3, 2)


def test_all_clients_together_are_limited() -> None:
    streams = quota()
    streams.take("a", 3)
    streams.take("b", 2)
    with pytest.raises(QuotaError, match=r"event streams of all clients: 5 allowed at a time"):
        streams.take("c")
    assert streams.used_by("c") == 0
    assert streams.used == 5


def test_what_is_given_back_can_be_taken_again() -> None:
    streams = quota()
    streams.take("a", 3)
    streams.adjust("a", -3)
    streams.take("a", 3)
    assert streams.used == 3


def test_clients_that_have_nothing_take_no_memory() -> None:
    streams = quota()
    for number in range(1000):
        streams.take(f"client {number}")
        streams.adjust(f"client {number}", -1)
    assert streams._by_client == {}


def test_more_than_a_client_has_cannot_be_given_back() -> None:
    streams = quota()
    streams.take("a")
    with pytest.raises(ValueError, match="gives back 2 event streams, but has only 1"):
        streams.adjust("a", -2)
    assert streams.used == 1


def test_what_turns_out_to_be_more_counts_even_above_the_quota() -> None:
    streams = quota()
    streams.adjust("a", 9)
    with pytest.raises(QuotaError):
        streams.take("b")


def test_programs_with_a_token_are_limited_by_the_total_only() -> None:
    streams = quota()
    streams.take(None, 4)
    with pytest.raises(QuotaError, match="of all clients"):
        streams.take(None, 2)
    streams.adjust(None, -4)
    assert streams.used == 0
