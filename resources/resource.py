"""What a resource declares: its options, pages, names and the function that draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from resources.drawing.document import Document
from resources.drawing.paper import PAPERS, Flip, Orientation, Paper
from resources.options import Choices, Option, Value
from resources.request import Request, safe_filename


def _accept_all(choices: Choices) -> None:
    """Accept every combination: most options do not depend on each other."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One printable resource.

    view: its name in tasks, which is also its module's name (lower-case letters, digits and underscores).
    name, summary: for people, marked with N_ so that they are translated.
    options: what can be chosen.
    subtitle: (choices, paper size) → what distinguishes this variant, as in its file name.
    pages: choices → the number of pages of one copy.
    draw: draws one copy, page by page, on a document.
    orientation: portrait or landscape paper.
    flip: the edge over which the paper is turned, for a resource with back pages.
    check: raises OptionError for choices that can't be combined.
    showcase: choices for the picture in the gallery, where they show more of the resource than the defaults do.
    folder: the folder of a plug-in with its own artwork/, pixels/, sheets/ and locale/. Our own resources need none.
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
    check: Callable[[Choices], None] = _accept_all
    showcase: Mapping[str, Value] = field(default_factory=dict, hash=False)
    folder: Path | None = None

    @property
    def slug(self) -> str:
        """The view as it is written in web addresses, with dashes."""
        return self.view.replace("_", "-")

    def title(self, request: Request) -> str:
        """Return the document's title: the name, and what distinguishes this variant."""
        return f"{request.name} ({self.subtitle(request.choices, request.paper_size)})"

    def filename(self, request: Request) -> str:
        """Return the document's file name, safe on every file system: the producer's own, or `{title}.pdf`.

        Where the title is too long, the name is cut, and not the subtitle, which distinguishes the variants.
        """
        own = safe_filename(request.filename)
        return own or safe_filename(request.name, keep=f" ({self.subtitle(request.choices, request.paper_size)})")

    def page_count(self, request: Request) -> int:
        """Return the number of pages of the whole document, all copies."""
        return self.pages(request.choices) * request.copies

    def paper(self, request: Request) -> Paper:
        """Return the paper in this resource's orientation."""
        return PAPERS[request.paper_size].oriented(self.orientation)
