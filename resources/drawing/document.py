"""A document while it is drawn: pages with header and footer, symbols, copies → `Drawn`.

Everything that varies comes from the request: no clock, no global state, no network. The same
request gives the same bytes.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from reportlab.pdfgen.canvas import Canvas

from resources.content import artwork, text_sheets
from resources.content.text_sheets import Block
from resources.drawing import fonts
from resources.drawing.box import Box
from resources.drawing.frame import draw_frame, link_area
from resources.drawing.ink import Ink
from resources.drawing.lettering import Typesetter
from resources.drawing.paper import MARGIN_LEFT, MARGIN_TOP, POINTS_PER_MM, Flip, Paper
from resources.drawing.surface import Surface
from resources.drawing.symbol import Symbol
from resources.language import Translate, translator
from resources.request import Request

PRODUCER = "render-trio"


class Document:
    """What a resource draws its copies on."""

    def __init__(
        self,
        request: Request,
        title: str,
        paper: Paper,
        flip: Flip,
        font_set: fonts.FontSet,
        checkpoint: Callable[[], None],
        folder: Path | None = None,
    ) -> None:
        """`folder`: where the resource keeps artwork, text sheets and translations of its own, if it does."""
        self.request = request
        self.paper = paper
        self.flip: Flip = flip
        self.ink_saver = request.ink_saver
        self.language = request.language
        self.translate: Translate = translator(request.language, folder)
        self._folder = folder
        self._checkpoint = checkpoint
        self._output = io.BytesIO()
        self._canvas = Canvas(
            self._output,
            pagesize=self.paper.points,
            pageCompression=0,  # the finisher compresses, once
            invariant=1,
            lang=request.language,
            initialFontName=font_set.font(fonts.FOOTER_FACE).fontName,
        )
        self._canvas._preamble = ""
        self._canvas.setTitle(title)
        self._canvas.setCreator(PRODUCER)
        self._canvas.setProducer(PRODUCER)
        self.typesetter = Typesetter(font_set, self._canvas)
        self._symbols: dict[str, Symbol] = {}
        left, top, right, bottom = (length * POINTS_PER_MM for length in link_area(paper, request.url))
        height = self.paper.height * POINTS_PER_MM
        self._link_corners = (left, height - bottom, right, height - top)
        self._random: random.Random | None = None
        self._copy = 0
        self.varies = False
        self.pages = 0
        self.has_backs = False

    @property
    def random(self) -> random.Random:
        """This copy's own source of random numbers; a copy that never asks is the same as the others."""
        self.varies = True
        if self._random is None:
            self._random = random.Random(f"{self.request.seed}:{self._copy}")
        return self._random

    @contextmanager
    def page(self, *, back: bool = False) -> Iterator[Surface]:
        """Begin a page; gives its content area. `back`: it is printed behind the page before it."""
        self._checkpoint()
        self.has_backs |= back
        self.pages += 1
        ink, k = Ink(), POINTS_PER_MM
        # From here on millimetres, y down, from the upper left corner of the sheet.
        ink.transform(k, 0, 0, -k, 0, self.paper.height * k)
        with ink.marked("Artifact"):
            ink.form(self._frame().name)
        with ink.kept():
            ink.transform(1, 0, 0, 1, MARGIN_LEFT, MARGIN_TOP)
            yield Surface(self, ink, self.paper.content_width, self.paper.content_height)
        if self.request.url:
            self._canvas.linkURL(self.request.url, self._link_corners, relative=0, thickness=0)
        self._emit(ink)
        self._canvas.showPage()

    def behind(self, box: Box) -> Box:
        """Return the place on a back page that lies behind `box` on the front, by the edge it is turned over."""
        upright = self.paper.height > self.paper.width
        if (self.flip == "long-edge") == upright:
            return Box(self.paper.content_width - box.right, box.y, box.width, box.height)
        # Turned over the upper edge: what is at the top of the sheet comes to lie at its bottom.
        top = self.paper.height - 2 * MARGIN_TOP - box.bottom
        return Box(box.x, top, box.width, box.height)

    def symbol(
        self, key: str, width: float, height: float, draw: Callable[[Surface], None], description: str = ""
    ) -> Symbol:
        """Return the symbol of this key, drawn by `draw` on a surface of this size when it is first asked for."""
        known = self._symbols.get(key)
        if known is None:
            surface = Surface(self, Ink(), width, height)
            draw(surface)
            known = self._define(key, Symbol(f"s{len(self._symbols)}", width, height, description), surface.ink)
        return known

    def artwork(self, name: str, *, plain: bool = False) -> Symbol:
        """Return a figure of static/artwork as a symbol. Raises ArtworkError."""
        plain = plain or self.ink_saver
        key = f"artwork {name}{' plain' if plain else ''}"
        known = self._symbols.get(key)
        if known is None:
            figure, ink = artwork.load(name, plain=plain, folder=self._folder), Ink()
            ink.code.append(figure.operators)
            symbol = Symbol(f"s{len(self._symbols)}", figure.width, figure.height, figure.description)
            known = self._define(key, symbol, ink)
        return known

    def sheet(self, name: str, **values: object) -> list[Block]:
        """Return the blocks of a text sheet in the document's language. Raises jinja2.TemplateError."""
        return text_sheets.load(name, self.language, self._folder, **values)

    def _frame(self) -> Symbol:
        def draw(surface: Surface) -> None:
            draw_frame(surface, self.request, self.paper)

        return self.symbol("frame", self.paper.width, self.paper.height, draw)

    def _define(self, key: str, symbol: Symbol, ink: Ink) -> Symbol:
        # 1 mm of room on each side: outlines are drawn over the edge by half their width.
        self._canvas.beginForm(symbol.name, -1, -1, symbol.width + 1, symbol.height + 1)
        self._emit(ink)
        self._canvas.endForm()
        self._symbols[key] = symbol
        return symbol

    def _emit(self, ink: Ink) -> None:
        self._canvas._code.extend(ink.code)
        self._canvas._formsinuse.extend(ink.forms)

    def begin_copy(self, number: int) -> None:
        """Begin a copy, counted from 0, with random numbers of its own."""
        self._copy, self._random = number, None

    def save(self) -> bytes:
        """Return the pages as ReportLab writes them, uncompressed."""
        self._canvas.save()
        return self._output.getvalue()
