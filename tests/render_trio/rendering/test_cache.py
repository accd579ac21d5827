"""The shelf keeps what was asked for last, within its bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from render_trio.rendering.cache import Cache


def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    shelf = Cache(10)
    for name in "abc":
        shelf.put(name, name.upper(), 3)
    assert shelf.get("a") == "A"
    shelf.put("d", "D", 3)
    assert [shelf.get(name) for name in "abcd"] == ["A", None, "C", "D"]


def test_what_is_larger_than_the_shelf_pushes_nothing_out() -> None:
    shelf = Cache(10)
    shelf.put("a", "A", 10)
    shelf.put("b", "B", 11)
    assert (shelf.get("a"), shelf.get("b"), shelf.used) == ("A", None, 10)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12))))
def test_it_never_holds_more_than_its_bytes_and_counts_them_right(puts: list[tuple[int, int]]) -> None:
    shelf, sizes = Cache(20), dict[int, int]()
    for key, size in puts:
        shelf.put(key, key, size)
        sizes[key] = size
        assert shelf.used <= 20
        assert shelf.used == sum(sizes[key] for key in sizes if shelf.get(key) is not None)
        assert shelf.get(key) == key
