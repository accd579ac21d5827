"""What a resource is: the value that each file of the catalogue defines once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from resources.drawing.document import Document
from resources.drawing.paper import PAPERS, Flip, Orientation, Paper
from resources.options import Choices, Option
from resources.request import Request


def _nothing_to_check(choices: Choices) -> None:
    """Most options do not depend on each other."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One printable of the catalogue.

    `draw` draws one copy, page by page, on the document that it is given. `subtitle` and `pages` say
    what a set of choices is called and how many pages one copy of it has; `flip` is the edge over
    which the sheet is turned when a copy has back pages. `check` raises OptionError for choices that do
    not go together.
    """

    view: str
    name: str
    summary: str
    options: tuple[Option, ...]
    subtitle: Callable[[Choices, str], str]
    pages: Callable[[Choices], int]
    draw: Callable[[Document, Choices], None]
    orientation: Orientation = "portrait"
    flip: Flip = "long-edge"
    check: Callable[[Choices], None] = _nothing_to_check

    @property
    def slug(self) -> str:
        """The name in an address: the view with dashes."""
        return self.view.replace("_", "-")

    def title(self, request: Request) -> str:
        """Return the document's title: the name, and what distinguishes this variant."""
        return f"{request.name} ({self.subtitle(request.choices, request.paper_size)})"

    def filename(self, request: Request) -> str:
        """Return the document's file name: `{title}.pdf`, safe on every file system."""
        return re.sub(r'[/\\:*?"<>|]', " ", self.title(request)) + ".pdf"

    def page_count(self, request: Request) -> int:
        """Return the pages of the whole document, all copies."""
        return self.pages(request.choices) * request.copies

    def paper(self, request: Request) -> Paper:
        """Return the paper, turned as this resource wants it."""
        return PAPERS[request.paper_size].turned(self.orientation)
