"""A clock for modular arithmetic, with as many hours as the modulus, counted from 0 at the top."""

from __future__ import annotations

import math

from resources.drawing import BLACK, Box, Point, Stroke
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

SIZE = 190.0  # mm, before scaling to the paper
RADIUS = 92.0
TICK = 9.0
BLANK_TICKS = 10  # of a clock without numbers: one for each decimal digit


def draw(document: Document, choices: Choices) -> None:
    """Draw the clock. A modulus of 1 means a blank clock."""
    modulus = choices.number("modulo_number")
    count = BLANK_TICKS if modulus == 1 else modulus
    with document.page() as page, page.part(page.area, SIZE, SIZE) as clock:
        centre = clock.area.centre
        description = N_("A clock face with {count} marks").format(count=count)
        with clock.figure(document.translate(description)):
            clock.circle(centre, RADIUS, None, Stroke(width=1.6))
            clock.circle(centre, 2.2, BLACK, None)
            for hour in range(count):
                inner, outer = _at(centre, hour / count, RADIUS - TICK), _at(centre, hour / count, RADIUS)
                clock.line(inner, outer, stroke=Stroke(width=1.6))
        if modulus > 1:
            for hour in range(count):
                x, y = _at(centre, hour / count, RADIUS - TICK - 14)
                clock.heading(Box(x - 12, y - 10, 24, 20), str(hour), 21)


def _at(centre: Point, turn: float, radius: float) -> Point:
    """Return the point at `turn` (0–1 of a full turn, clockwise from the top), `radius` mm from the centre."""
    angle = 2 * math.pi * turn
    return centre[0] + radius * math.sin(angle), centre[1] - radius * math.cos(angle)


def subtitle(choices: Choices, paper: str) -> str:
    """Return the modulus and the paper size."""
    modulus = choices.number("modulo_number")
    return f"{'blank' if modulus == 1 else modulus} - {paper}"


RESOURCE = Resource(
    view="modulo_clock",
    name=N_("Modulo Clock"),
    summary=N_("A clock with as many hours as you choose, to count round and round."),
    options=(Choice("modulo_number", N_("Hours"), {1: N_("Blank"), 2: "2", 10: "10"}, 10),),
    subtitle=subtitle,
    pages=lambda choices: 1,
    draw=draw,
)
