"""Printable classroom resources as vector PDFs: one function for a program, and a render service for a queue.

`render` draws a document where it is called. The service is the command `render-trio serve`.
"""

from render_trio.errors import RenderFailedError, RenderTrioError
from render_trio.observation.versions import __version__
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.pipeline import render
from resources.parsing import RequestError

__all__ = ["FinishedDocument", "RenderFailedError", "RenderTrioError", "RequestError", "__version__", "render"]
