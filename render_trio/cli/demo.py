"""The demo: a queue and a service on free ports, one task per resource → one PDF per resource."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from emulator.server.serving import serve as serve_queue
from emulator.settings import EmulatorSettings
from render_trio.errors import RenderTrioError
from render_trio.queue.client import AsyncClient
from render_trio.queue.results import Received
from render_trio.service import service
from render_trio.settings.settings import Settings
from resources.registry import CATALOGUE

HEADER = "Made to measure"
PATIENCE_SECONDS = 120.0  # for all documents: they take well under a second, longer on an overloaded machine


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result for one resource, its file, and the seconds from submitting its task to receiving the result."""

    view: str
    received: Received
    path: Path | None
    seconds: float


class DemoError(RenderTrioError):
    """Not every result arrived in time."""


async def run(
    folder: Path,
    on_rendered: Callable[[Rendered], None],
    stay: Callable[[list[Rendered], str, str], None] | None = None,
) -> list[Rendered]:
    """Render one document per resource into `folder`, and return the results.

    `stay`, if given, is called with the results and the URLs of service and queue; then both keep running until
    SIGINT or SIGTERM. Raises DemoError, and OSError if a document can't be written.
    """
    async with trio.open_nursery() as nursery:
        # In memory: a folder for the store would be left behind if the demo were killed.
        queue_url = await nursery.start(serve_queue, EmulatorSettings(port=0, store="sqlite:///:memory:"))
        address = await nursery.start(service.run, Settings(queue_url=queue_url, port=0))
        rendered = await _render_all(queue_url, folder, on_rendered)
        if stay is not None:
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                stay(rendered, address, queue_url)
                async for _ in signals:
                    break
        nursery.cancel_scope.cancel()
    return rendered


async def _render_all(queue_url: str, folder: Path, on_rendered: Callable[[Rendered], None]) -> list[Rendered]:
    submitted: dict[str, tuple[str, float]] = {}
    rendered: list[Rendered] = []
    async with AsyncClient(queue_url) as client:
        for view, resource in CATALOGUE.items():
            url = f"https://example.org/resources/{resource.slug}"
            begun = trio.current_time()
            submitted[await client.submit(view, header_text=HEADER, url=url, seed="demo")] = (view, begun)
        with trio.move_on_after(PATIENCE_SECONDS):
            async for result in client.results(wait=None):
                view, begun = submitted[result.task_id]
                path = result.save(folder) if result.success else None
                rendered.append(Rendered(view, result, path, trio.current_time() - begun))
                on_rendered(rendered[-1])
                await result.acknowledge()
                if len(rendered) == len(submitted):
                    break
    if len(rendered) < len(submitted):
        raise DemoError(f"only {len(rendered)} of {len(submitted)} results arrived within {PATIENCE_SECONDS:.0f} s")
    return rendered
