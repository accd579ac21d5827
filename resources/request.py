"""What to draw, every value checked: a plain, frozen value that refers to no catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from resources.options import Choices

# Keys that mean the same in every task, form and address: no resource's option may have such a name.
RESERVED_KEYS = frozenset(
    {
        *("kind", "resource_view", "resource_slug", "resource_name", "url", "header_text", "seed", "language"),
        *("copies", "paper_size", "ink_saver", "edition", "names", "answers", "filename", "reply_tag"),
        *("v", "q", "new_numbers", "download"),  # of the web's own addresses and forms
    }
)


@dataclass(frozen=True, slots=True)
class Request:
    """The document to draw, every value checked. Equal requests give equal bytes."""

    view: str
    name: str
    url: str
    header_text: str
    copies: int
    paper_size: str
    seed: str
    ink_saver: bool
    language: str
    choices: Choices
