"""What was asked for, every value checked: a plain, frozen value that knows no catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from resources.options import Choices


@dataclass(frozen=True, slots=True)
class Request:
    """A document somebody asked for, every value checked. Equal requests give equal bytes."""

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
