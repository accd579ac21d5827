"""Whose turn it is, for every order in which tasks can arrive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from render_trio.worker.leasing.turns import PRODUCERS_IN_A_ROW, Turns

# At each turn: whether a producer's task and one from the web are ready.
arrivals = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)


def taken(ready: list[tuple[bool, bool]]) -> list[str | None]:
    turns, order = Turns(), list[str | None]()
    for producer, web in ready:
        source = turns.next(producer=producer, web=web)
        if source is not None:
            turns.took(source)
        order.append(source)
    return order


@given(arrivals)
def test_a_turn_is_given_exactly_if_a_task_of_that_kind_is_ready(ready: list[tuple[bool, bool]]) -> None:
    for (producer, web), source in zip(ready, taken(ready), strict=True):
        assert (source is None) == (not producer and not web)
        assert source != "producer" or producer
        assert source != "web" or web


@given(arrivals)
def test_at_most_one_task_from_the_web_comes_before_a_producer_s_task_that_is_ready(
    ready: list[tuple[bool, bool]],
) -> None:
    passed_over = 0
    for (producer, _), source in zip(ready, taken(ready), strict=True):
        passed_over = passed_over + 1 if producer and source == "web" else 0
        assert passed_over <= 1


@given(arrivals)
def test_at_most_three_producers_tasks_come_before_a_task_from_the_web_that_is_ready(
    ready: list[tuple[bool, bool]],
) -> None:
    passed_over = 0
    for (_, web), source in zip(ready, taken(ready), strict=True):
        passed_over = passed_over + 1 if web and source == "producer" else 0
        assert passed_over <= PRODUCERS_IN_A_ROW


@given(st.integers(1, 200))
def test_under_load_from_both_one_turn_in_four_serves_the_web(turns: int) -> None:
    order = taken([(True, True)] * turns)
    assert order == (["producer"] * 3 + ["web"]) * (turns // 4) + ["producer"] * (turns % 4)


@given(arrivals)
def test_a_request_for_a_task_from_the_web_is_due_after_every_third_producer_s_task(
    ready: list[tuple[bool, bool]],
) -> None:
    turns, in_a_row = Turns(), 0
    for producer, web in ready:
        source = turns.next(producer=producer, web=web)
        if source is not None:
            turns.took(source)
            in_a_row = in_a_row + 1 if source == "producer" else 0
        assert turns.web_is_due == (in_a_row >= 3)
        assert turns.web_request_is_due == (in_a_row in range(3, 100, 3))
