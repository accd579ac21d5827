"""What a resource is: the value that each file of the catalogue defines once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.options import Choices, Option
from resources.paper import Flip, Orientation

if TYPE_CHECKING:
    from resources.drawing.document import Document


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
