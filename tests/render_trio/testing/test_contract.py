"""The contract finds what it promises to find."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from render_trio.testing import check_resource, compare_pictures
from render_trio.testing.pictures import UPDATE, rasterised
from render_trio.testing.requests import resource_of
from resources.drawing import Box, Surface
from resources.drawing.document import Document
from resources.options import Choices
from resources.resource import Resource
from tests.registered import registered


def resource(paint: Callable[[Surface], object]) -> Resource:
    """Return a resource with one page, painted by `paint`."""

    def draw(document: Document, choices: Choices) -> None:
        with document.page() as page:
            paint(page)

    return Resource(
        view="trial",
        name="Trial",
        summary="A trial.",
        options=(),
        subtitle=lambda choices, paper: paper,
        pages=lambda choices: 1,
        draw=draw,
    )


COUNTER: Iterator[int] = itertools.count()


@pytest.mark.parametrize(
    ("paint", "message"),
    [
        (lambda page: page.rectangle(Box(-5, 10, 20, 20)), "page 1 has ink left"),
        (lambda page: page.rectangle(Box(10, 0, page.area.width, 20)), "page 1 has ink right"),
        (lambda page: page.rectangle(page.area.moved(y=2.5)), "page 1 has ink above the footer"),
        (lambda page: page.text(page.area, "untranslated", 5), "prints words that can't be translated: untranslated"),
        (lambda page: [page.write((20, 20), "123", 8), page.write((21, 21), "456", 8)], "overlaps another text"),
        (lambda page: page.text(page.area, str(next(COUNTER)), 5), "the same request gave other bytes"),
    ],
)
def test_a_broken_promise_is_named_with_the_document(paint: Callable[[Surface], object], message: str) -> None:
    with registered(resource(paint)), pytest.raises(AssertionError, match=message) as raised:
        check_resource("trial")
    assert raised.value.__notes__ == ["in Trial (a4).pdf"]


def test_a_wrong_number_of_pages_is_found() -> None:
    wrong = dataclasses.replace(resource(lambda page: page.rectangle(page.area)), pages=lambda choices: 2)
    with registered(wrong), pytest.raises(AssertionError, match="1 pages; declared: 2"):
        check_resource("trial")


def test_words_in_other_words_clothes_pass_as_data() -> None:
    page_of_words = resource(lambda page: page.text(page.area, "whero", 5))
    with registered(page_of_words):
        check_resource("trial", words=frozenset({"whero"}))


def test_a_resource_that_is_missing_is_explained() -> None:
    with pytest.raises(AssertionError, match="there is no resource 'nothing': no plug-in offers it"):
        resource_of("nothing")


def test_pictures_are_missing_then_written_then_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = tmp_path / "pictures"
    with registered(resource(lambda page: page.rectangle(Box(20, 20, 50, 50)))):
        with pytest.raises(AssertionError, match=f"trial-1.png is missing: run {UPDATE}=1"):
            compare_pictures("trial", pictures)
        monkeypatch.setenv(UPDATE, "1")
        compare_pictures("trial", pictures)
        monkeypatch.delenv(UPDATE)
        compare_pictures("trial", pictures)
    rasterised.cache_clear()
    moved = resource(lambda page: page.rectangle(Box(24, 20, 50, 50)))
    with registered(moved), pytest.raises(AssertionError, match="trial-1 looks different"):
        compare_pictures("trial", pictures)
    assert len(list((tmp_path / "pictures-differences").iterdir())) == 3
