"""A drawing that a document holds once, as a form XObject, and draws many times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symbol:
    """A form XObject of the document: its name there, its size in mm, what it shows."""

    name: str
    width: float
    height: float
    description: str = ""
