"""A document while it is being drawn: its pages with header and footer, its symbols, and its copies.

A document depends on nothing but the request: no clock, no global state, no network. Equal requests give equal bytes.
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
from resources.drawing.frame import frame
from resources.drawing.ink import Ink
from resources.drawing.lettering import Typesetter
from resources.drawing.paper import MARGIN_LEFT, MARGIN_TOP, POINTS_PER_MM, Flip, Paper
from resources.drawing.surface import Surface
from resources.drawing.symbol import Symbol
from resources.language import Translate, translator
from resources.request import Request, RequestWarning

PRODUCER = "render-trio"


class Document:
    """The document that a resource's `draw` receives.

    request: what to draw.
    paper: the sheet, in the resource's orientation.
    flip: the edge over which a sheet with a back page is turned.
    ink_saver: whether solid areas become outlines. `Surface` does that; most resources need not check it.
    language, translate: the document's language (a BCP 47 tag), and the function that translates a text into it.
    pages, has_backs, varies: so far, how many pages were drawn, whether any is a back page, and whether a copy has
    used random numbers.
    warnings: what could not be drawn as the request asked.
    """

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
        """Create an empty document.

        `checkpoint` is called before each page, and may raise to stop the drawing. `folder` is the plug-in's folder
        with its own artwork, text sheets and translations, if any.
        """
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
        self._page_frame = frame(request, paper, self.translate)
        self.warnings: tuple[RequestWarning, ...] = self._page_frame.warnings
        left, top, right, bottom = (length * POINTS_PER_MM for length in self._page_frame.link_area)
        height = self.paper.height * POINTS_PER_MM
        self._link = request.link
        self._link_corners = (left, height - bottom, right, height - top)
        self._random: random.Random | None = None
        self._copy = 0
        self.varies = False
        self.pages = 0
        self.has_backs = False

    @property
    def random(self) -> random.Random:
        """The random numbers of this copy, seeded by the request and the copy's number.

        A document whose copies never use it has identical copies, which are drawn only once.
        """
        self.varies = True
        if self._random is None:
            self._random = random.Random(f"{self.request.seed}:{self._copy}")
        return self._random

    @contextmanager
    def page(self, *, back: bool = False) -> Iterator[Surface]:
        """Begin a page and yield its content area, the part between the margins.

        `back`: the page is printed on the back of the one before it. Raises what `checkpoint` raises.
        """
        self._checkpoint()
        self.has_backs |= back
        self.pages += 1
        ink, k = Ink(), POINTS_PER_MM
        # From here on, lengths are in mm and y points down from the upper left corner of the sheet.
        ink.transform(k, 0, 0, -k, 0, self.paper.height * k)
        with ink.marked_content("Artifact"):
            ink.form(self._frame().name)
        with ink.saved_state():
            ink.transform(1, 0, 0, 1, MARGIN_LEFT, MARGIN_TOP)
            yield Surface(self, ink, self.paper.content_width, self.paper.content_height)
        if self._link:
            self._canvas.linkURL(self._link, self._link_corners, relative=0, thickness=0)
        self._emit(ink)
        self._canvas.showPage()

    def behind(self, box: Box) -> Box:
        """Return the box on a back page that lies exactly behind `box` on the front, given the document's `flip`."""
        upright = self.paper.height > self.paper.width
        if (self.flip == "long-edge") == upright:
            return Box(self.paper.content_width - box.right, box.y, box.width, box.height)
        # The sheet is turned over its upper edge, so the top of the front is behind the bottom of the back.
        top = self.paper.height - 2 * MARGIN_TOP - box.bottom
        return Box(box.x, top, box.width, box.height)

    def symbol(
        self, key: str, width: float, height: float, draw: Callable[[Surface], None], description: str = ""
    ) -> Symbol:
        """Return the symbol with this key.

        On first use, `draw` draws it on a surface of `width` × `height` mm, and `description` says what it shows.
        """
        symbol = self._symbols.get(key)
        if symbol is None:
            surface = Surface(self, Ink(), width, height)
            draw(surface)
            name = f"s{len(self._symbols)}"
            symbol = self._define(key, Symbol(name, width, height, description), surface.ink)
        return symbol

    def artwork(self, name: str, *, plain: bool = False) -> Symbol:
        """Return the figure artwork/{name}.svg as a symbol; with `plain`, or to save ink, only its outlines.

        Raises ArtworkError.
        """
        plain = plain or self.ink_saver
        key = f"artwork {name}{' plain' if plain else ''}"
        symbol = self._symbols.get(key)
        if symbol is None:
            figure, ink = artwork.load(name, plain=plain, folder=self._folder), Ink()
            ink.code.append(figure.operators)
            name = f"s{len(self._symbols)}"
            symbol = self._define(key, Symbol(name, figure.width, figure.height, figure.description), ink)
        return symbol

    def sheet(self, name: str, **values: object) -> list[Block]:
        """Return the blocks of a text sheet in the document's language. Raises jinja2.TemplateError."""
        return text_sheets.load(name, self.language, self._folder, **values)

    def _frame(self) -> Symbol:
        return self.symbol("frame", self.paper.width, self.paper.height, self._page_frame.draw)

    def _define(self, key: str, symbol: Symbol, ink: Ink) -> Symbol:
        # A bounding box 1 mm larger on each side: half of the width of an outline on the edge is outside.
        self._canvas.beginForm(symbol.name, -1, -1, symbol.width + 1, symbol.height + 1)
        self._emit(ink)
        self._canvas.endForm()
        self._symbols[key] = symbol
        return symbol

    def _emit(self, ink: Ink) -> None:
        self._canvas._code.extend(ink.code)
        self._canvas._formsinuse.extend(ink.forms)

    def begin_copy(self, number: int) -> None:
        """Begin copy `number`, counted from 0, with its own random numbers."""
        self._copy, self._random = number, None

    def save(self) -> bytes:
        """Return the PDF as ReportLab writes it, uncompressed. Call it once, after the last page."""
        self._canvas.save()
        return self._output.getvalue()
