"""PDF operators for colours, line styles, transformations, form XObjects and marked content (ISO 32000-1).

It tracks the graphics state, so that an operator is written only when a value changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from resources.drawing.colours import Stroke, components

_State = tuple[str | None, Stroke | None]


class Ink:
    """The content stream of a page or a form XObject, while it is being written."""

    __slots__ = ("_fill", "_stroke", "code", "forms")

    def __init__(self) -> None:
        self.code: list[str] = []
        self.forms: list[str] = []  # names of the form XObjects that this stream draws
        self._fill: str | None = None
        self._stroke: Stroke | None = None

    def fill_colour(self, colour: str) -> None:
        """Set the colour ("#rrggbb") of fills and text from here on. Raises ValueError for another notation."""
        if colour != self._fill:
            red, green, blue = components(colour)
            self.code.append(f"{red:.3g} g" if red == green == blue else f"{red:.3g} {green:.3g} {blue:.3g} rg")
            self._fill = colour

    def stroke_style(self, stroke: Stroke) -> None:
        """Set the style of strokes from here on."""
        previous = self._stroke
        if previous is None or previous.colour != stroke.colour:
            red, green, blue = components(stroke.colour)
            self.code.append(f"{red:.3g} G" if red == green == blue else f"{red:.3g} {green:.3g} {blue:.3g} RG")
        if previous is None or previous.width != stroke.width:
            self.code.append(f"{stroke.width:.3g} w")
        if previous is None or previous.dash != stroke.dash:
            self.code.append(f"[{' '.join(f'{length:.3g}' for length in stroke.dash)}] 0 d")
        if previous is None:
            self.code.append("1 J 1 j")  # round caps and joins, in every resource
        self._stroke = stroke

    def paint(self, path: str, fill: str | None, stroke: Stroke | None) -> None:
        """Fill a path, stroke it, or both. `path` is its operators; None leaves out the fill or the stroke."""
        if fill is not None:
            self.fill_colour(fill)
        if stroke is not None:
            self.stroke_style(stroke)
        if fill is not None or stroke is not None:
            self.code.append(path)
            self.code.append("B" if fill is not None and stroke is not None else "f" if fill is not None else "S")

    @contextmanager
    def saved_state(self) -> Iterator[None]:
        """Save the graphics state, and restore it at the end."""
        state: _State = (self._fill, self._stroke)
        self.code.append("q")
        yield
        self.code.append("Q")
        self._fill, self._stroke = state

    def clip(self, path: str) -> None:
        """Clip to this path (its operators) until the graphics state is restored."""
        self.code.append(f"{path}\nW n")

    def transform(self, a: float, b: float, c: float, d: float, e: float, f: float) -> None:
        """Multiply the transformation matrix by [a b c d e f].

        The numbers have a fixed number of decimals: PDF has no notation for exponents, which %g may write.
        """
        self.code.append(f"{a:.6f} {b:.6f} {c:.6f} {d:.6f} {e:.4f} {f:.4f} cm")

    def form(self, name: str) -> None:
        """Draw the form XObject with this name."""
        self.code.append(f"/FormXob.{name} Do")
        self.forms.append(name)

    @contextmanager
    def marked_content(self, tag: str, description: str | None = None) -> Iterator[None]:
        """Mark what is drawn inside (ISO 32000-1, 14.6) with a tag, such as Figure or Artifact.

        `description` is the alternate text that a screen reader speaks.
        """
        if description is None:
            self.code.append(f"/{tag} BMC")
        else:
            text = b"\xfe\xff" + description.encode("utf-16-be")
            self.code.append(f"/{tag} <</Alt <{text.hex()}>>> BDC")
        yield
        self.code.append("EMC")
