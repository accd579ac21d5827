"""Treasure island: a map and seven posters, which describe a finite automaton.

Two ships, A and B, leave from each island. Only the keeper of the island can see where they sail. Players who draw
their voyages on the map find the way to the treasure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resources.drawing import GREY, INK, WHITE, Box, Path, Point, Stroke, Surface
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choice, Choices
from resources.resource import Resource

SHIPS = ("a", "b")


@dataclass(frozen=True, slots=True)
class Island:
    """A state of the automaton.

    place: centre on the map, mm.
    sails_to: the islands that ships A and B sail to, or None for the goal.
    """

    name: str
    place: Point
    sails_to: tuple[str, str] | None


# The automaton. The keys are also the names of the figures. The treasure is the goal, which no ship leaves.
ISLANDS: Mapping[str, Island] = {
    "dead_mans": Island(N_("Dead Man's Island"), (147, 134), ("musket_hill", "shipwreck_bay")),
    "musket_hill": Island(N_("Musket Hill"), (94, 98), ("pirates", "mutineers")),
    "mutineers": Island(N_("Mutineers' Island"), (43, 138), ("smugglers_cove", "dead_mans")),
    "pirates": Island(N_("Pirates' Island"), (43, 58), ("shipwreck_bay", "musket_hill")),
    "shipwreck_bay": Island(N_("Shipwreck Bay"), (147, 60), ("musket_hill", "dead_mans")),
    "smugglers_cove": Island(N_("Smugglers' Cove"), (94, 180), ("pirates", "treasure")),
    "treasure": Island(N_("Treasure Island"), (144, 221), None),
}

MAP_WIDTH, MAP_HEIGHT = 190.0, 249.0  # mm, before scaling to the paper
ISLAND = (54.0, 33.75)  # mm, of a figure on the map
NAME_HEIGHT = 8.0
WHALE = Box(22, 183, 42, 26)
COMPASS = Box(26, 213, 26, 26)
SHIP = Box(77, 212, 34, 21)
BAND = 4.0  # mm, width of the frame of the map
SEA = "#e4f2fa"
WAVE = Stroke("#8dbad8", 0.5)
WAVE_PITCH: Point = (17.0, 11.5)
FOLD_HEIGHT = 104.0  # mm at the bottom of a poster, to fold back
# The letter on a ship's sail: x and y of its centre and its height, as parts of the figure's width and height.
SAILS = {"a": (0.5, 0.415, 0.155), "b": (0.47, 0.5, 0.18)}


def draw(document: Document, choices: Choices) -> None:
    """Draw the map or the posters."""
    if choices.text("type") == "map":
        with document.page() as page, page.part(page.area, MAP_WIDTH, MAP_HEIGHT) as sheet:
            _draw_map(sheet)
        return
    for key in ISLANDS:
        with document.page() as page:
            _draw_poster(page, key)


# -- the map


def _draw_map(sheet: Surface) -> None:
    translate = sheet.translate
    sea = sheet.area.inset(BAND)
    with sheet.decoration():
        sheet.rectangle(sea, SEA, None)
    title = Box(45, 12, 100, 15)
    occupied = [WHALE, SHIP, COMPASS.inset(-3, -3), title.inset(-13, -2)]
    for island in ISLANDS.values():
        occupied.append(_place_of(island).inset(1, 0))
        occupied.append(_name_place(island))
    _draw_waves(sheet, sea, occupied)
    _draw_band(sheet)
    _draw_banner(sheet, title, translate(N_("Find Treasure Island")))
    for key, island in ISLANDS.items():
        sheet.artwork(f"islands/{key}", _place_of(island))
        sheet.heading(_name_place(island), translate(island.name), 6.2)
    sheet.artwork("sea/whale", WHALE)
    sheet.artwork("ships/a", SHIP)
    sheet.artwork("sea/compass_rose", COMPASS)
    sheet.heading(Box(COMPASS.x, COMPASS.y - 2.4, COMPASS.width, 4.5), translate(N_("N")), 5)


def _place_of(island: Island) -> Box:
    x, y = island.place
    return Box(x - ISLAND[0] / 2, y - ISLAND[1] / 2 - NAME_HEIGHT / 2, *ISLAND)


def _name_place(island: Island) -> Box:
    place = _place_of(island)
    return Box(place.x - 4, place.bottom + 0.5, place.width + 8, NAME_HEIGHT)


def _draw_waves(sheet: Surface, sea: Box, occupied: list[Box]) -> None:
    """Draw small waves all over the sea, except in the `occupied` boxes."""
    waves = Path()
    width, height = WAVE_PITCH
    for row in range(int(sea.height / height)):
        for column in range(int(sea.width / width)):
            x = sea.x + 5 + column * width + (width / 2 if row % 2 else 0)
            y = sea.y + 7 + row * height
            wave = Box(x - 0.5, y - 2, 9, 4)
            if wave.right < sea.right and not any(_overlap(wave, place) for place in occupied):
                waves.move(x, y)
                waves.curve((x + 1.3, y - 2), (x + 2.7, y - 2), (x + 4, y))
                waves.curve((x + 5.3, y + 2), (x + 6.7, y + 2), (x + 8, y))
    with sheet.decoration():
        sheet.paint(waves, None, WAVE)


def _overlap(one: Box, other: Box) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


def _draw_band(sheet: Surface) -> None:
    """Draw the frame in alternating dark and light, as on sea charts, with a rivet at each corner."""
    outer = sheet.area.inset(BAND / 2)
    dark = Path()
    for count, edges, is_horizontal in (
        (21, (outer.y - BAND / 2, outer.bottom - BAND / 2), True),
        (27, (outer.x - BAND / 2, outer.right - BAND / 2), False),
    ):
        length = (outer.width if is_horizontal else outer.height) / count
        for edge in edges:
            for i in range(1, count, 2):
                along = (outer.x if is_horizontal else outer.y) + i * length
                dark.rectangle(Box(along, edge, length, BAND) if is_horizontal else Box(edge, along, BAND, length))
    with sheet.decoration():
        sheet.paint(dark, INK, None)
        sheet.rectangle(sheet.area, None, Stroke(INK, 0.7))
        sheet.rectangle(sheet.area.inset(BAND), None, Stroke(INK, 0.7))
        for x in (outer.x, outer.right):
            for y in (outer.y, outer.bottom):
                corner = Box(x, y, 0, 0).inset(-BAND / 2)
                sheet.rectangle(corner, "#d94b3d", Stroke(INK, 0.7))
                sheet.circle(corner.centre, BAND * 0.22, WHITE, Stroke(INK, 0.5))


def _draw_banner(sheet: Surface, box: Box, text: str) -> None:
    """Write the title on a ribbon."""
    paper, shade, line = "#f6e3b4", "#d9b98c", Stroke(INK, 0.7)
    with sheet.decoration():
        for x, side in ((box.x, -1), (box.right, 1)):
            top, bottom, end = box.y + 3, box.bottom - 3, x + side * 12
            notch = (end - side * 5, box.centre[1])
            sheet.paint(Path().polygon([(x, top), (end, top), notch, (end, bottom), (x, bottom)]), shade, line)
        sheet.rectangle(box, paper, line)
    sheet.heading(box.inset(5, 2), text, 9)


# -- the posters


def _draw_poster(page: Surface, key: str) -> None:
    island, translate = ISLANDS[key], page.translate
    front, back = page.area.split_top(page.area.height - FOLD_HEIGHT)
    page.rectangle(page.area, None, Stroke(GREY, 0.3))
    title, picture = front.inset(8).split_top(24)
    page.heading(title, translate(island.name), 19)
    page.artwork(f"islands/{key}", Box(picture.x, picture.y + 4, picture.width, picture.height - 4))
    page.fold_line((back.x, back.y), (back.right, back.y))
    hint = Box(back.x, back.y + 1.5, back.width, 5)
    page.text(hint, translate(N_("Fold this part back: only the keeper of the island reads it.")), 3.2, colour=GREY)
    # When the part is folded back, its lower edge is on top, so it is drawn upside down.
    with page.part(Box(back.x, back.y + 8, back.width, back.height - 8), rotation=180) as part:
        if island.sails_to is None:
            _draw_goal(part, key)
        else:
            _draw_ships(part, island.sails_to)


def _draw_ships(part: Surface, goals: tuple[str, str]) -> None:
    """Draw four boxes: two ships, and below each ship the island that it sails to."""
    translate = part.translate
    ships, harbours = part.area.rows(2)
    for ship, goal, upper, lower in zip(SHIPS, goals, ships.columns(2), harbours.columns(2), strict=True):
        letter = ship.upper()
        figure = upper.inset(4, 3).fitted(1.6)
        part.artwork(f"ships/{ship}", figure)
        x, y, height = SAILS[ship]
        side = figure.height * height
        sail = Box(figure.x + figure.width * x - side, figure.y + figure.height * y - side / 2, 2 * side, side)
        part.heading(sail, letter, side / 0.7, role="strong")
        text, picture = lower.inset(4, 2).split_top(22)
        caption, name = text.split_top(8)
        part.text(caption, translate(N_("Ship {ship} sails to")).format(ship=letter), 5)
        part.heading(name.inset(0, 1), translate(ISLANDS[goal].name), 9)
        part.artwork(f"islands/{goal}", picture)
    middle, centre = part.area.centre
    part.fold_line((part.area.x, centre), (part.area.right, centre))
    part.fold_line((middle, part.area.y), (middle, part.area.bottom))


def _draw_goal(part: Surface, key: str) -> None:
    text, picture = part.area.inset(6).split_top(20)
    part.heading(text, part.translate(N_("You have found the treasure!")), 12)
    part.artwork(f"islands/{key}", picture)


RESOURCE = Resource(
    view="treasure_island",
    name=N_("Treasure Island"),
    summary=N_("Sail from island to island by ship A or B, and draw the map that leads to the treasure."),
    options=(Choice("type", N_("Sheets"), {"map": N_("The map"), "island": N_("The islands' posters")}, "map"),),
    subtitle=lambda choices, paper: f"{choices.text('type')} - {paper}",
    pages=lambda choices: 1 if choices.text("type") == "map" else len(ISLANDS),
    draw=draw,
)
