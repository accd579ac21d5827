"""Pictures of pages: their size, their colours, and that PDFium is never used by two threads at once."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pypdfium2
import pytest
from PIL import Image

from render_trio.rendering import pipeline
from render_trio.rendering.raster import COLOURS, picture

PDF = pipeline.render("binary-cards", header_text="Room Four").pdf
PAGES = 8


@pytest.mark.parametrize("pixels", [60, 200])
def test_the_longer_side_of_a_picture_has_the_requested_number_of_pixels(pixels: int) -> None:
    image = Image.open(io.BytesIO(picture(PDF, 0, pixels)))
    assert max(image.size) == pixels
    assert image.format == "PNG"


def test_paper_is_white_and_the_palette_is_small() -> None:
    image = Image.open(io.BytesIO(picture(PDF, 0, 300)))
    assert image.mode == "P"
    colours = image.convert("RGB").getcolors()
    assert colours is not None
    assert 2 < len(colours) <= COLOURS
    assert max(colours) == (max(count for count, _ in colours), (255, 255, 255))
    darkest = min(sum(colour) for _, colour in colours if isinstance(colour, tuple))
    assert darkest < 3 * 64, "only the lightest colours become white"


def test_each_page_has_its_own_picture() -> None:
    assert len({picture(PDF, page, 150) for page in range(PAGES)}) == PAGES


@pytest.mark.parametrize(("page", "message"), [(PAGES, "page 9 of 8"), (-1, "page 0 of 8")])
def test_a_page_that_does_not_exist_raises_index_error(page: int, message: str) -> None:
    with pytest.raises(IndexError, match=message):
        picture(PDF, page, 100)


def test_pdfium_is_used_by_one_thread_at_a_time_and_closes_every_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """PDFium crashes the process if two threads use it. The first thread stays in it until another would be, too."""
    inside: set[int] = set()
    overlapped = threading.Event()
    opened: list[object] = []
    original: Callable[..., Any] = pypdfium2.PdfDocument
    in_pdfium = threading.Lock()

    class Watched:
        def __init__(self, pdf: bytes) -> None:
            inside.add(threading.get_ident())
            if len(inside) > 1:
                overlapped.set()
            if not opened:
                overlapped.wait(0.2)
            opened.append(self)
            with in_pdfium:
                self._document = original(pdf)

        def __len__(self) -> int:
            with in_pdfium:
                return len(self._document)

        def __getitem__(self, index: int) -> object:
            return self._document[index]

        def close(self) -> None:
            self._document.close()
            opened.remove(self)
            inside.discard(threading.get_ident())

    monkeypatch.setattr(pypdfium2, "PdfDocument", Watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: picture(PDF, 0, 40), range(8)))
    assert not overlapped.is_set()
    assert opened == []
