"""The cache keeps the most recently used results within its size in bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from render_trio.rendering.cache import Cache


def test_the_least_recently_used_result_is_evicted_first() -> None:
    cache = Cache(10)
    for name in "abc":
        cache.put(name, name.upper(), 3)
    assert cache.get("a") == "A"
    cache.put("d", "D", 3)
    assert [cache.get(name) for name in "abcd"] == ["A", None, "C", "D"]


def test_a_result_larger_than_the_cache_evicts_nothing() -> None:
    cache = Cache(10)
    cache.put("a", "A", 10)
    cache.put("b", "B", 11)
    assert (cache.get("a"), cache.get("b"), cache.used) == ("A", None, 10)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12))))
def test_the_size_is_bounded_and_counted_correctly(puts: list[tuple[int, int]]) -> None:
    cache, sizes = Cache(20), dict[int, int]()
    for key, size in puts:
        cache.put(key, key, size)
        sizes[key] = size
        assert cache.used <= 20
        assert cache.used == sum(sizes[key] for key in sizes if cache.get(key) is not None)
        assert cache.get(key) == key
