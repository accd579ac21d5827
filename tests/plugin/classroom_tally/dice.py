"""Paper dice to cut out and fold: two resources that differ only in how a number is written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from classroom_tally.marks import tally
from resources.drawing import CUT, Box, Path, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choices
from resources.resource import Resource

EDGE = 46.0  # mm
FLAP = 10.0  # mm
# Faces of the net by column and row; the numbers on opposite faces add up to 7.
NET = ((1, 0, 1), (0, 1, 2), (1, 1, 3), (2, 1, 5), (1, 2, 6), (1, 3, 4))
# A flap at each of these edges, by the face's column and row, is glued under the face that it meets.
FLAPS = (
    (1, 0, "left"),
    (1, 0, "right"),
    (1, 0, "top"),
    (0, 1, "bottom"),
    (2, 1, "bottom"),
    (1, 3, "left"),
    (1, 3, "right"),
)
SIDES = ("top", "bottom", "left", "right")  # in the order of Box.edges
GLUE = "#8c8c8c"

Writer = Callable[[Surface, Box, int], None]


def write_tally(page: Surface, face: Box, number: int) -> None:
    """Write a number as tally marks."""
    page.paint(tally(number, face), None, Stroke(width=1.4))


def write_binary(page: Surface, face: Box, number: int) -> None:
    """Write a number with three binary digits."""
    page.text(face, f"{number:03b}", 15, role="hand")


def draw(write: Writer, document: Document, choices: Choices) -> None:
    """Draw the net of a cube with glue flaps, and the numbers one to six on its faces."""
    width, height = 3 * EDGE + 2 * FLAP, 4 * EDGE + 2 * FLAP
    with document.page() as page, page.part(page.area, width, height) as design:
        faces = {(column, row): _face(column, row) for column, row, _ in NET}
        for column, row, side in FLAPS:
            _draw_flap(design, faces[column, row], side)
        _draw_edges(design, list(faces.values()))
        description = document.translate(N_("The net of a cube with the numbers 1 to 6"))
        with design.figure(description):
            for column, row, number in NET:
                write(design, faces[column, row].inset(9), number)


def _face(column: int, row: int) -> Box:
    return Box(FLAP + column * EDGE, FLAP + row * EDGE, EDGE, EDGE)


def _draw_edges(page: Surface, faces: list[Box]) -> None:
    """Draw the edges of the faces: dashed where two faces meet or a flap begins, which are folded, else solid."""
    edges = [edge for face in faces for edge in face.edges]
    with_flap = {_face(column, row).edges[SIDES.index(side)] for column, row, side in FLAPS}
    for edge in dict.fromkeys(edges):
        if edges.count(edge) > 1 or edge in with_flap:
            page.fold_line(*edge)
        else:
            page.line(*edge, stroke=CUT)


def _draw_flap(page: Surface, face: Box, side: str) -> None:
    """Draw a hatched flap, to be glued, at an edge of a face."""
    slope = FLAP * 0.7
    if side in ("left", "right"):
        x, out = (face.x, -FLAP) if side == "left" else (face.right, FLAP)
        corners = [(x, face.y), (x + out, face.y + slope), (x + out, face.bottom - slope), (x, face.bottom)]
    else:
        y, out = (face.y, -FLAP) if side == "top" else (face.bottom, FLAP)
        corners = [(face.x, y), (face.x + slope, y + out), (face.right - slope, y + out), (face.right, y)]
    flap = Path().polygon(corners)
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    with page.decoration():
        page.hatch(flap, Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)), GLUE, spacing=2)
        page.line(*corners, stroke=CUT)


def resources() -> list[Resource]:
    """Return both dice."""
    return [
        Resource(
            view=view,
            name=name,
            summary=summary,
            options=(),
            subtitle=lambda choices, paper: paper,
            pages=lambda choices: 1,
            draw=partial(draw, write),
        )
        for view, name, summary, write in (
            ("tally_die", N_("Tally Die"), N_("A paper die whose faces count in tally marks."), write_tally),
            ("binary_die", N_("Binary Die"), N_("A paper die whose faces count in binary."), write_binary),
        )
    ]
