"""The reference of the drawing vocabulary has every word that drawing code can use."""

from __future__ import annotations

import inspect

import pytest

from resources.drawing import Box, Path, Surface
from resources.drawing.document import Document
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "drawing.md").read_text(encoding="utf-8")
WORDS = sorted(
    {
        name
        for described in (Surface, Document, Box, Path)
        for name, value in inspect.getmembers(described)
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    }
)


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_documented_even_if_it_is_inherited(word: str) -> None:
    assert f"**`{word}(" in PAGE or f"**`{word}`** (property)" in PAGE


def test_setting_a_text_sheet_is_documented() -> None:
    assert "**`set_sheet(" in PAGE
