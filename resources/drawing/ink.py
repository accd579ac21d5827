"""The only place that writes PDF operators other than paths: colours, transforms, text, forms.

It remembers the graphics state, so that an operator is written only when something changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from resources.drawing.colours import Stroke, components

_State = tuple[str | None, Stroke | None]


class Ink:
    """One content stream (a page's or a form's) while it is being written."""

    __slots__ = ("_fill", "_stroke", "code", "forms")

    def __init__(self) -> None:
        self.code: list[str] = []
        self.forms: list[str] = []  # names of the form XObjects that this stream draws
        self._fill: str | None = None
        self._stroke: Stroke | None = None

    def fill_colour(self, colour: str) -> None:
        """Fill with this colour from here on; text is filled too."""
        if colour != self._fill:
            red, green, blue = components(colour)
            self.code.append(f"{red:.3g} g" if red == green == blue else f"{red:.3g} {green:.3g} {blue:.3g} rg")
            self._fill = colour

    def stroke_style(self, stroke: Stroke) -> None:
        """Stroke in this manner from here on."""
        was = self._stroke
        if was is None or was.colour != stroke.colour:
            red, green, blue = components(stroke.colour)
            self.code.append(f"{red:.3g} G" if red == green == blue else f"{red:.3g} {green:.3g} {blue:.3g} RG")
        if was is None or was.width != stroke.width:
            self.code.append(f"{stroke.width:.3g} w")
        if was is None or was.dash != stroke.dash:
            self.code.append(f"[{' '.join(f'{length:.3g}' for length in stroke.dash)}] 0 d")
        if was is None:
            self.code.append("1 J 1 j")  # round caps and joins, everywhere: the house's line style
        self._stroke = stroke

    def paint(self, path: str, fill: str | None, stroke: Stroke | None) -> None:
        """Fill and stroke a path, either or both."""
        if fill is not None:
            self.fill_colour(fill)
        if stroke is not None:
            self.stroke_style(stroke)
        if fill is not None or stroke is not None:
            self.code.append(path)
            self.code.append("B" if fill is not None and stroke is not None else "f" if fill is not None else "S")

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Restore the graphics state afterwards."""
        state: _State = (self._fill, self._stroke)
        self.code.append("q")
        yield
        self.code.append("Q")
        self._fill, self._stroke = state

    def clip(self, path: str) -> None:
        """Draw inside this path only, until the state is restored."""
        self.code.append(f"{path}\nW n")

    def transform(self, a: float, b: float, c: float, d: float, e: float, f: float) -> None:
        """Multiply the transformation matrix. PDF knows no exponents, which %g would write."""
        self.code.append(f"{a:.6f} {b:.6f} {c:.6f} {d:.6f} {e:.4f} {f:.4f} cm")

    def form(self, name: str) -> None:
        """Draw a form XObject by its name in the document."""
        self.code.append(f"/FormXob.{name} Do")
        self.forms.append(name)

    @contextmanager
    def marked(self, tag: str, description: str | None = None) -> Iterator[None]:
        """Mark what is drawn inside: /Figure with a description for those who can't see it, or /Artifact."""
        if description is None:
            self.code.append(f"/{tag} BMC")
        else:
            text = b"\xfe\xff" + description.encode("utf-16-be")
            self.code.append(f"/{tag} <</Alt <{text.hex()}>>> BDC")
        yield
        self.code.append("EMC")
