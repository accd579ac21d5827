"""Words on paper: the catalogue that translators get holds them all."""

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
MEND = "run scripts/messages"


@pytest.mark.parametrize("view", CATALOGUE)
def test_what_a_form_says_of_a_resource_reaches_the_translators(view: str) -> None:
    resource = CATALOGUE[view]
    assert {resource.name, resource.summary} <= MESSAGES, MEND
    for option in resource.options:
        assert option.label in MESSAGES, MEND


def test_what_figures_show_reaches_the_translators() -> None:
    for path in (assets.static_directory() / "artwork").rglob("*.svg"):
        title = re.search(r"<title>(.*?)</title>", path.read_text(encoding="utf-8"))
        assert title is not None
        assert title[1].replace("&amp;", "&").replace("&#39;", "'") in MESSAGES, f"{path}: {MEND}"


def test_every_marked_text_of_the_code_reaches_the_translators() -> None:
    for path in LOCALE_DIRECTORY.parent.rglob("*.py"):
        for text in re.findall(r'N_\(\s*"((?:[^"\\]|\\.)*)"\s*\)', path.read_text(encoding="utf-8")):
            assert text.replace('\\"', '"') in MESSAGES, f"{path.name}: {MEND}"
