"""A traceparent is checked strictly, and is bound to what is done and logged for it."""

from __future__ import annotations

import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st

from render_trio.observation import trace_context

VALID = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_valid_one_is_accepted() -> None:
    assert trace_context.checked(VALID) == VALID
    assert trace_context.trace_id(VALID) == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("more", ["", "-", "-what-comes-later"])
def test_a_later_version_is_read_as_the_first(more: str) -> None:
    assert trace_context.checked("cc" + VALID[2:] + more) == VALID


@pytest.mark.parametrize(
    "invalid",
    [
        None,
        1,
        ["00"],
        b"00",
        "",
        "00",
        VALID + "-",
        VALID + "-more",
        VALID + "\n",
        " " + VALID,
        VALID.upper(),
        "ff" + VALID[2:],
        VALID.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        VALID.replace("b7ad6b7169203331", "0" * 16),
        VALID.replace("-01", "-1"),
        VALID.replace("0af", "0ag"),
        VALID.replace("0af", "٠af"),
        "cc" + VALID[2:] + "-" + "x" * 1000,
        "cc" + VALID[2:] + "x",
    ],
)
def test_any_other_value_is_not_valid(invalid: object) -> None:
    assert trace_context.checked(invalid) == ""


@given(st.text())
def test_any_text_is_checked(text: str) -> None:
    assert trace_context.checked(text) in ("", text)


def test_a_new_one_is_valid_and_unique() -> None:
    assert trace_context.checked(trace_context.new())
    assert trace_context.new() != trace_context.new()


async def test_it_is_bound_inside_the_block_and_in_tasks_started_there() -> None:
    seen = []

    async def look() -> None:
        seen.append((trace_context.headers(), structlog.contextvars.get_contextvars().get("trace")))

    async with trio.open_nursery() as nursery:
        with trace_context.bound(VALID):
            nursery.start_soon(look)
        nursery.start_soon(look)
    assert sorted(seen, key=str, reverse=True) == [
        ({}, None),
        ({"traceparent": VALID}, trace_context.trace_id(VALID)),
    ]
    with trace_context.bound(VALID), trace_context.bound(""):
        assert trace_context.current() == VALID
