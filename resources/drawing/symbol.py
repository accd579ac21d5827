"""A drawing that a document stores once, as a form XObject, and draws many times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symbol:
    """A form XObject of a document.

    name: its name in the document.
    width, height: mm; of artwork, in the units of its viewBox. `Surface.place` scales a symbol to its box.
    description: what it shows, in English.
    """

    name: str
    width: float
    height: float
    description: str = ""
