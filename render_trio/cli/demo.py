"""The whole way once, with nothing set up: a queue and a service on free ports, one task per resource, the PDFs."""

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
PATIENCE_SECONDS = 120.0  # for all documents: they take well under a second, an overloaded machine more
RESULT_WAIT = 5


@dataclass(frozen=True, slots=True)
class Printed:
    """A document that came back: how long after its task was put on the queue."""

    view: str
    received: Received
    seconds: float


class DemoError(RenderTrioError):
    """Not every document came back in time."""


async def run(
    folder: Path,
    on_printed: Callable[[Printed], None],
    stay: Callable[[list[Printed], str, str], None] | None = None,
) -> list[Printed]:
    """Print one document per resource into `folder`. Raises DemoError, OSError.

    With `stay` it is then told what was printed and where service and queue answer, and both go on until
    SIGINT or SIGTERM.
    """
    with tempfile.TemporaryDirectory(prefix="render-trio-", ignore_cleanup_errors=True) as data:
        async with trio.open_nursery() as nursery:
            queue_settings = EmulatorSettings(port=0, store=f"sqlite:///{data}/queue.sqlite3")
            queue_url = await nursery.start(serve_queue, queue_settings)
            settings = Settings(queue_url=queue_url, port=0)
            address = await nursery.start(service.run, settings)
            printed = await _print_all(settings, folder, on_printed)
            if stay is not None:
                with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    stay(printed, address, queue_url)
                    async for _ in signals:
                        break
            nursery.cancel_scope.cancel()
    return printed


async def _print_all(settings: Settings, folder: Path, on_printed: Callable[[Printed], None]) -> list[Printed]:
    queue = TaskQueue(settings.queue_url, settings.project_name, settings.queue_name, timeout=settings.queue_timeout)
    submitted: dict[str, tuple[str, float]] = {}
    printed: list[Printed] = []
    try:
        for view, resource in CATALOGUE.items():
            options = {"header_text": HEADER, "url": f"https://example.org/resources/{resource.slug}", "seed": "demo"}
            begun = trio.current_time()
            submitted[await submit(queue, task_values(view, options)[1])] = (view, begun)
        with trio.move_on_after(PATIENCE_SECONDS):
            while len(printed) < len(submitted):
                for received in await take_results(queue, folder, wait=RESULT_WAIT):
                    view, begun = submitted[received.result.task_id]
                    printed.append(Printed(view, received, trio.current_time() - begun))
                    on_printed(printed[-1])
    finally:
        with trio.CancelScope(shield=True):
            await queue.aclose()
    if len(printed) < len(submitted):
        raise DemoError(f"{len(printed)} of {len(submitted)} documents came back within {PATIENCE_SECONDS:.0f} s")
    return printed
