"""A page of a finished PDF → a PNG (pypdfium2), with a small palette: line drawings need no more colours."""

from __future__ import annotations

import io
import threading

import pypdfium2
from PIL import Image

COLOURS = 64  # chosen by eye: from 48 on, the anti-aliased edges of letters look the same as in full colour
NEARLY_WHITE = 252  # the lightest colour of the palette is 254 after quantization, but paper must be white
PNG_LEVEL = 6

# PDFium has global state: no two threads may call it at the same time, even for different documents.
_PDFIUM = threading.Lock()


def picture(pdf: bytes, page: int, longest_side: int) -> bytes:
    """Return the page, counted from 0, as a PNG whose longer side has `longest_side` pixels. Raises IndexError."""
    with _PDFIUM:
        document = pypdfium2.PdfDocument(pdf)
        try:
            if not 0 <= page < len(document):
                raise IndexError(f"page {page + 1} of {len(document)}")
            sheet = document[page]
            bitmap = sheet.render(scale=longest_side / max(sheet.get_size()), rev_byteorder=True)
            image = bitmap.to_pil().convert("RGB")  # a copy: closing the document frees the bitmap
        finally:
            document.close()
    reduced = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette = reduced.getpalette() or []
    reduced.putpalette(_whitened(palette))
    output = io.BytesIO()
    reduced.save(output, "PNG", compress_level=PNG_LEVEL)
    return output.getvalue()


def _whitened(palette: list[int]) -> list[int]:
    colours = [palette[start : start + 3] for start in range(0, len(palette), 3)]
    return [part for colour in colours for part in ([255] * 3 if min(colour) >= NEARLY_WHITE else colour)]
