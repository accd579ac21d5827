"""The demo: a queue and a service on free ports, one task per resource → one PDF per resource."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from emulator.server.serving import serve as serve_queue
from emulator.settings import EmulatorSettings
from render_trio.errors import RenderTrioError
from render_trio.queue.producer import Received, submit, take_results, task_values
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.service import service
from render_trio.settings.settings import Settings
from resources.registry import CATALOGUE

HEADER = "Made to measure"
PATIENCE_SECONDS = 120.0  # for all documents: they take well under a second, longer on an overloaded machine
RESULT_WAIT = 5  # s


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result for one resource, and the seconds from submitting its task to receiving the result."""

    view: str
    received: Received
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
    with tempfile.TemporaryDirectory(prefix="render-trio-", ignore_cleanup_errors=True) as data:
        async with trio.open_nursery() as nursery:
            queue_settings = EmulatorSettings(port=0, store=f"sqlite:///{data}/queue.sqlite3")
            queue_url = await nursery.start(serve_queue, queue_settings)
            settings = Settings(queue_url=queue_url, port=0)
            address = await nursery.start(service.run, settings)
            rendered = await _render_all(settings, folder, on_rendered)
            if stay is not None:
                with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    stay(rendered, address, queue_url)
                    async for _ in signals:
                        break
            nursery.cancel_scope.cancel()
    return rendered


async def _render_all(settings: Settings, folder: Path, on_rendered: Callable[[Rendered], None]) -> list[Rendered]:
    queue = TaskQueue(settings.queue_url, settings.project_name, settings.queue_name, timeout=settings.queue_timeout)
    submitted: dict[str, tuple[str, float]] = {}
    rendered: list[Rendered] = []
    try:
        for view, resource in CATALOGUE.items():
            options = {"header_text": HEADER, "url": f"https://example.org/resources/{resource.slug}", "seed": "demo"}
            begun = trio.current_time()
            submitted[await submit(queue, task_values(view, options)[1])] = (view, begun)
        with trio.move_on_after(PATIENCE_SECONDS):
            while len(rendered) < len(submitted):
                for received in await take_results(queue, folder, wait=RESULT_WAIT):
                    view, begun = submitted[received.result.task_id]
                    rendered.append(Rendered(view, received, trio.current_time() - begun))
                    on_rendered(rendered[-1])
    finally:
        with trio.CancelScope(shield=True):
            await queue.aclose()
    if len(rendered) < len(submitted):
        raise DemoError(f"only {len(rendered)} of {len(submitted)} results arrived within {PATIENCE_SECONDS:.0f} s")
    return rendered
