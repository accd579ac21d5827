"""Sorting network cards to carry through the network: numbers, words or pictures, two large cards per page."""

from __future__ import annotations

from functools import lru_cache

from resources.drawing import Box, Surface, fonts, lettering
from resources.drawing.document import Document
from resources.drawing.fonts import Role
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

CARDS_PER_PAGE = 2
LARGE = (1_700_000, 2_099_999)  # inclusive
LARGE_COUNT = 6
LEADING = 1.25  # distance from line to line, em
TEXT_MARGIN = 10.0  # mm around a text
PICTURE_MARGIN = 6.0
# The hand-drawn face has ½ but not ⅓, and a but not ā. These decks use one face that has all of them.
ONE_FACE = frozenset({"fractions", "maori_numbers", "maori_colours"})

# These cards teach words and numbers in te reo Māori, so these texts are not translated.
TEXTS: dict[str, tuple[str, ...]] = {
    "small_numbers": ("1", "2", "3", "4", "5", "6"),
    "fractions": ("½", "⅓", "⅔", "⅜", "¾", "⅝"),
    "maori_numbers": (
        "tahi", "rua", "toru", "whā", "rima", "ono", "whitu", "waru", "iwa", "tekau", "tekau mā tahi",
        "tekau mā waru", "tekau mā toru", "tekau mā whā", "rua tekau", "rua tekau mā ono",
    ),
    "letters": ("L", "O", "N", "K", "E", "D", "S", "P", "G", "B", "I", "Y"),
    "maori_colours": ("whero", "kākāriki", "kiwikiwi", "karaka", "kōwhai", "pango", "māwhero", "mā"),
}  # fmt: skip
# The hard cases of alphabetical order: words with the same beginning, a word twice, a word that begins another.
WORDS = (N_("crocodile"), N_("crochet"), N_("kiwi"), N_("weka"), N_("kiwi"), N_("kiwano"))
STORIES: dict[str, tuple[str, ...]] = {
    "riding_hood": (
        "1-leaving-home", "2-meeting-the-wolf", "3-wolf-at-the-cottage", "4-wolf-in-bed", "5-rescue",
        "6-together-again",
    ),
    "butterfly": ("1-egg", "2-hatching", "3-caterpillar", "4-hanging-up", "5-chrysalis", "6-butterfly"),
    "tree_growth": ("1-seed", "2-root", "3-shoot", "4-seedling", "5-sapling", "6-tree"),
}  # fmt: skip


def texts(document: Document, kind: str) -> tuple[str, ...]:
    """Return the texts of the cards of one copy."""
    if kind == "large_numbers":
        numbers = document.random.sample(range(LARGE[0], LARGE[1] + 1), LARGE_COUNT)
        return tuple(f"{number:,}" for number in numbers)
    if kind == "words":
        return tuple(document.translate(word) for word in WORDS)
    return TEXTS[kind]


def draw(document: Document, choices: Choices) -> None:
    """Draw the cards, two per page, in the order of the story or list."""
    kind = choices.text("type")
    faces = STORIES.get(kind) or texts(document, kind)
    for first in range(0, len(faces), CARDS_PER_PAGE):
        with document.page() as page:
            cards = page.area.rows(CARDS_PER_PAGE)
            for card, face in zip(cards, faces[first:], strict=False):
                if kind in STORIES:
                    page.artwork(f"{kind}/{face}", card.inset(PICTURE_MARGIN))
                else:
                    _draw_text(page, card.inset(TEXT_MARGIN), face, faces, "plain" if kind in ONE_FACE else "hand")
            page.cut_lines(cards)


def _draw_text(page: Surface, box: Box, text: str, all_texts: tuple[str, ...], role: Role) -> None:
    size = size_for(all_texts, role, box.width, box.height)
    lines = lettering.wrapped(role, text, size, box.width)
    height = size * LEADING
    for row, line in enumerate(lines):
        place = Box(box.x, box.centre[1] + (row - len(lines) / 2) * height, box.width, height)
        page.heading(place, line, size, role=role)


@lru_cache(maxsize=64)
def size_for(all_texts: tuple[str, ...], role: Role, width: float, height: float) -> float:
    """Return the largest size in mm at which every text fits without breaking a word; all cards have the same size."""
    widest = max(fonts.width(role, word) for text in all_texts for word in text.split())
    size = min(height, width * 0.999 / widest)  # slightly less, so that rounding breaks no word
    while any(_height(lettering.wrapped(role, text, size, width), size) > height for text in all_texts):
        size *= 0.97
    return size


def _height(lines: tuple[str, ...], size: float) -> float:
    return (1 + (len(lines) - 1) * LEADING) * size


def pages(choices: Choices) -> int:
    """Return the number of pages of one copy."""
    kind = choices.text("type")
    counts = {"large_numbers": LARGE_COUNT, "words": len(WORDS)}
    count = counts.get(kind) or len(STORIES.get(kind) or TEXTS[kind])
    return -(-count // CARDS_PER_PAGE)


def subtitle(choices: Choices, paper: str) -> str:
    """Return the type of the cards and the paper size."""
    return f"{choices.text('type').replace('_', ' ')} - {paper}"


RESOURCE = Resource(
    view="sorting_network_cards",
    name=N_("Sorting Network Cards"),
    summary=N_("Large cards to carry through the sorting network: numbers, words, and stories in six pictures."),
    options=(
        Choice(
            "type",
            N_("On the cards"),
            {
                "small_numbers": N_("Small numbers (1 to 6)"),
                "large_numbers": N_("Large numbers (seven digits)"),
                "fractions": N_("Fractions"),
                "maori_numbers": N_("Numbers in te reo Māori"),
                "words": N_("Words"),
                "letters": N_("Letters"),
                "maori_colours": N_("Colours in te reo Māori"),
                "riding_hood": N_("Story: a girl in a red hood"),
                "butterfly": N_("Story: from egg to butterfly"),
                "tree_growth": N_("Story: from seed to tree"),
            },
            "small_numbers",
        ),
    ),
    subtitle=subtitle,
    pages=pages,
    draw=draw,
    showcase={"type": "riding_hood"},
)
