"""The message catalogue for translators (resources.pot) contains every text that is printed."""

from __future__ import annotations

import io
import re

import pytest
from babel.messages.pofile import read_po

from resources.content import assets
from resources.language import LOCALE_DIRECTORY
from resources.registry import CATALOGUE

MESSAGE_CATALOGUE = read_po(io.StringIO((LOCALE_DIRECTORY / "resources.pot").read_text(encoding="utf-8")))
MESSAGES = {str(message.id) for message in MESSAGE_CATALOGUE}
FIX = "run scripts/messages"


@pytest.mark.parametrize("view", CATALOGUE)
def test_the_names_summaries_and_labels_of_resources_are_in_the_catalogue(view: str) -> None:
    resource = CATALOGUE[view]
    assert {resource.name, resource.summary} <= MESSAGES, FIX
    for option in resource.options:
        assert option.label in MESSAGES, FIX


def test_the_descriptions_of_figures_are_in_the_catalogue() -> None:
    for path in (assets.static_directory() / "artwork").rglob("*.svg"):
        title = re.search(r"<title>(.*?)</title>", path.read_text(encoding="utf-8"))
        assert title is not None
        assert title[1].replace("&amp;", "&").replace("&#39;", "'") in MESSAGES, f"{path}: {FIX}"


def test_every_text_marked_in_code_is_in_the_catalogue() -> None:
    for path in LOCALE_DIRECTORY.parent.rglob("*.py"):
        for text in re.findall(r'N_\(\s*"((?:[^"\\]|\\.)*)"\s*\)', path.read_text(encoding="utf-8")):
            assert text.replace('\\"', '"') in MESSAGES, f"{path.name}: {FIX}"
