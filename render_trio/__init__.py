"""Printable classroom resources as vector PDFs: one function for a program, and a render service for a queue.

`render` draws a document where it is called. The service is the command `render-trio serve`; `Client` and `AsyncClient`
submit tasks to its queue and fetch the results.
"""

from render_trio.errors import QueueError, RenderFailedError, RenderTrioError, TaskExistsError
from render_trio.observation.versions import __version__
from render_trio.queue.client import AsyncClient, AsyncResult, Client, Result
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.pipeline import render
from resources.parsing import RequestError

__all__ = [
    "AsyncClient",
    "AsyncResult",
    "Client",
    "FinishedDocument",
    "QueueError",
    "RenderFailedError",
    "RenderTrioError",
    "RequestError",
    "Result",
    "TaskExistsError",
    "__version__",
    "render",
]
