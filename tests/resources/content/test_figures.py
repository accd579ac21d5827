"""Every figure follows the rules of static/artwork/README.md and has a description."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from resources import rendering
from resources.catalogue.sorting_network_cards import STORIES
from resources.content import artwork
from resources.content.assets import static_directory
from resources.drawing import document
from tests.requests import request_for

ARTWORK = static_directory() / "artwork"
FIGURES = sorted(ARTWORK.glob("*/*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "g", "path", "circle", "ellipse", "rect", "polygon", "polyline", "line"}
MAX_SIZE = 8_000  # bytes


def name_of(path: Path) -> str:
    return path.relative_to(ARTWORK).with_suffix("").as_posix()


@pytest.mark.parametrize("path", FIGURES, ids=name_of)
def test_a_figure_consists_of_plain_shapes_and_a_title(path: Path) -> None:
    root = ElementTree.parse(path).getroot()
    elements = list(root.iter())
    assert {element.tag.removeprefix(SVG) for element in elements} <= ELEMENTS
    assert not any({"style", "class", "filter", "clip-path"} & set(element.keys()) for element in elements)
    titles = [element.text or "" for element in elements if element.tag == f"{SVG}title"]
    assert len(titles) == 1
    assert re.fullmatch(r"[A-Z].{3,90}[^.]", titles[0]), titles
    assert path.stat().st_size <= MAX_SIZE


@pytest.mark.parametrize("path", FIGURES, ids=name_of)
def test_an_outline_has_the_lines_of_a_figure_but_not_its_colours(path: Path) -> None:
    coloured, plain = (artwork.load(name_of(path), plain=plain) for plain in (False, True))
    fills = [tuple(map(float, fill.split()[:3])) for fill in re.findall(r"[\d.]+ [\d.]+ [\d.]+ rg", plain.operators)]
    assert all(fill == (1, 1, 1) or max(fill) < 0.5 for fill in fills)
    strokes = re.compile(r"\b(?:S|B|b|s)\b")
    assert len(strokes.findall(plain.operators)) == len(strokes.findall(coloured.operators)) > 0


@pytest.mark.parametrize("story", STORIES)
def test_the_six_pictures_of_a_story_are_described_in_the_language_of_the_document(
    story: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "translator", lambda language, folder: lambda text: f"translated {text}")
    pdf = rendering.render(request_for("sorting_network_cards", type=story), lambda: None).pdf
    found = [bytes.fromhex(alt.decode()).decode("utf-16") for alt in re.findall(rb"/Alt <([0-9a-f]+)>", pdf)]
    titles = [artwork.load(f"{story}/{picture}").description for picture in STORIES[story]]
    assert len(set(titles)) == 6
    assert found == [f"translated {title}" for title in titles]


def test_a_story_has_no_other_pictures_than_its_six() -> None:
    for story, pictures in STORIES.items():
        assert [path.stem for path in sorted((ARTWORK / story).iterdir())] == list(pictures)
