"""Two octaves of piano keys, with the notes named in seven colours. One note can be highlighted in both octaves."""

from __future__ import annotations

from resources.drawing import (
    BLACK,
    BLUE,
    BROWN,
    GREEN,
    INK,
    ORANGE,
    OUTLINE,
    PINK,
    PURPLE,
    RED,
    WHITE,
    Box,
    Path,
    Stroke,
    Surface,
)
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

NOTES = "CDEFGAB"
SOLFEGE = (N_("do"), N_("re"), N_("mi"), N_("fa"), N_("sol"), N_("la"), N_("ti"))
COLOURS = (RED, ORANGE, BROWN, GREEN, BLUE, PURPLE, PINK)
BLACK_AFTER = "CDFGA"  # the white keys that have a black key to their right
OCTAVES = 2
WIDTH, HEIGHT = 266.0, 150.0  # mm, before scaling to the paper
BLACK_WIDTH, BLACK_HEIGHT = 0.6, 0.6  # as parts of a white key
TINT = "#ffe9a8"  # light enough to read a name on, dark enough to show in grey


def draw(document: Document, choices: Choices) -> None:
    """Draw the keyboard."""
    highlighted, label = choices.text("highlight"), choices.text("label")
    with document.page() as page, page.part(page.area, WIDTH, HEIGHT) as board:
        keys = board.area.columns(len(NOTES) * OCTAVES)
        with board.figure(document.translate(N_("Two octaves of piano keys, from C to B"))):
            for index, key in enumerate(keys):
                board.rectangle(key, WHITE, OUTLINE)
                if NOTES[index % len(NOTES)] == highlighted:
                    _draw_highlight(board, key)
            for index, key in enumerate(keys[:-1]):
                if NOTES[index % len(NOTES)] in BLACK_AFTER:
                    width = key.width * BLACK_WIDTH
                    _draw_black(board, Box(key.right - width / 2, key.y, width, key.height * BLACK_HEIGHT))
            board.rectangle(board.area, None, Stroke(INK, 1.2))
        for index, key in enumerate(keys):
            _draw_name(board, key, index % len(NOTES), label)


def _draw_black(board: Surface, key: Box) -> None:
    if board.ink_saver:
        # White first, to hide the edges of the white keys below.
        board.rectangle(key, WHITE, None)
        board.hatch(Path().rectangle(key), key, INK, spacing=2.4)
    board.rectangle(key, BLACK, OUTLINE)


def _draw_highlight(board: Surface, key: Box) -> None:
    """Tint the key and hatch it, because the tint alone may not show on a grey printer."""
    if not board.ink_saver:
        board.rectangle(key, TINT, OUTLINE)
    lower = Box(key.x, key.y + key.height * BLACK_HEIGHT, key.width, key.height * (1 - BLACK_HEIGHT))
    board.hatch(Path().rectangle(lower), lower, "#b8860b", spacing=3)
    board.rectangle(key, None, Stroke(INK, 1.0))


def _draw_name(board: Surface, key: Box, note: int, label: str) -> None:
    if label == "none":
        return
    x, _ = key.centre
    centre = (x, key.bottom - 22)
    board.circle(centre, 8, WHITE, Stroke(COLOURS[note], 0.8))
    text = NOTES[note] if label == "letters" else board.translate(SOLFEGE[note])
    place = Box(centre[0] - 6.5, centre[1] - 6.5, 13, 13)
    board.heading(place, text, 11 if label == "letters" else 7.5, colour=COLOURS[note])


RESOURCE = Resource(
    view="piano_keys",
    name=N_("Piano Keys"),
    summary=N_("A keyboard on paper, to play tunes that were written as numbers or letters."),
    options=(
        Choice("highlight", N_("Highlight"), {"no": N_("None"), **{note: note for note in "ABCDEFG"}}, "no"),
        Choice(
            "label",
            N_("Names of the notes"),
            {"letters": N_("Letters"), "solfege": N_("Solfège"), "none": N_("None")},
            "letters",
            required=False,
        ),
    ),
    subtitle=lambda choices, paper: f"{choices.text('highlight')} highlight - {paper}",
    pages=lambda choices: 1,
    draw=draw,
    orientation="landscape",
)
