"""Are the words on a resource's pages translatable? Its pages are drawn in a language in which every word is marked.

Every text that goes through gettext, or comes from a text sheet, gets a mark before each of its words; what is printed
without one can't be translated. Numbers, single letters and the texts of the request are no words.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import pypdfium2

from resources.content.text_sheets import Block
from resources.drawing import fonts
from resources.drawing.document import Document
from resources.language import SOURCE_LANGUAGE
from resources.registry import CATALOGUE
from resources.request import Request

MARK = "¬"  # all our fonts have it, and no resource prints it
WORD = re.compile(r"(?<![\w¬])[^\W\d_]{2,}")
NAME_WORDS = re.compile(r"[^\W\d_]{2,}")


class _MarkedDocument(Document):
    """A document in the language in which every word is marked."""

    def sheet(self, name: str, **values: object) -> list[Block]:
        return [Block(block.kind, marked(block.text)) for block in super().sheet(name, **values)]


def marked(text: str) -> str:
    """Return the text with a mark before each word; placeholders such as {count} stay as they are."""
    return " ".join(word if re.fullmatch(r"\{\w+\}\W*", word) else f"{MARK}{word}" for word in text.split())


def untranslatable(request: Request) -> set[str]:
    """Return the words of the request's first copy that don't go through gettext."""
    resource = CATALOGUE[request.view]
    paper = resource.paper(request)
    with fonts.POOL.borrowed() as font_set:
        document = _MarkedDocument(
            request, resource.title(request), paper, resource.flip, font_set, lambda: None, resource.folder
        )
        document.translate = marked
        document.begin_copy(0)
        resource.draw(document, request.choices)
        pdf = pypdfium2.PdfDocument(document.save())
    text = "\n".join(pdf[index].get_textpage().get_text_range() for index in range(len(pdf)))
    pdf.close()
    own = f"{request.name} {request.header_text} {request.url}"
    return set(WORD.findall(text)) - set(NAME_WORDS.findall(own))


def check_words(request: Request, *, data: Collection[str] = ()) -> None:
    """Check that every word on the pages goes through gettext or comes from a text sheet.

    `data`: words that are the same in every language, because they are the lesson's subject. Raises AssertionError
    that names the words.
    """
    assert request.language == SOURCE_LANGUAGE, "words are checked in the source language"
    words = sorted(untranslatable(request) - set(data))
    assert not words, f"{request.view} prints words that can't be translated: {', '.join(words)}"
