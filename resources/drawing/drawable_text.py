"""Any text → the text that the fonts can draw, and what of it could not be drawn as it was given."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from resources.drawing.fonts import missing_character

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # every role has it
# Devanagari to Sinhala: their letters join, change their shape or trade places, which only a shaping engine can do.
SHAPED_SCRIPTS = range(0x0900, 0x0E00)


@dataclass(frozen=True, slots=True)
class DrawableText:
    """One line of text that every font role can draw.

    lost: the characters of the original that were replaced, each once, in the order of their appearance.
    unshaped: whether letters that should be joined are drawn side by side.
    """

    text: str
    lost: tuple[str, ...] = ()
    unshaped: bool = False


@lru_cache(maxsize=1024)
def drawable(text: str) -> DrawableText:
    """Return the text with every character that can't be drawn replaced by U+FFFD.

    The text is composed (NFC) first: a letter with its marks is one character wherever Unicode has one. A mark that
    remains is replaced, because without a shaping engine it would be drawn over the next letter. Characters that only
    control formatting (soft hyphen, joiners, directional marks) are invisible; they are left out.
    """
    drawn: list[str] = []
    lost: dict[str, None] = {}
    unshaped = False
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if category == "Cf":
            continue
        shaped = ord(character) in SHAPED_SCRIPTS
        if (category in ("Mn", "Mc", "Me") and not shaped) or category in ("Cc", "Zl", "Zp") or _missing(character):
            drawn.append(REPLACEMENT)
            lost[character] = None
        else:
            drawn.append(character)
            unshaped |= shaped
    return DrawableText("".join(drawn), tuple(lost), unshaped)


def _missing(character: str) -> bool:
    return missing_character(character) is not None
