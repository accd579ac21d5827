"""Latency from submitting a task to receiving its PDF: one task at a time, with an idle service and queue.

usage: scripts/bench latency [--count 30] [--view binary_cards]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile

import trio

from emulator.server.serving import serve as serve_queue
from emulator.settings import EmulatorSettings
from render_trio.queue.client import AsyncClient
from render_trio.service import logs, service
from render_trio.settings.settings import Settings


async def measure(view: str, count: int, isolation: str) -> list[float]:
    """Return the latency of each task in milliseconds."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with trio.open_nursery() as nursery:
            queue_url = await nursery.start(serve_queue, EmulatorSettings(port=0, store=f"sqlite:///{folder}/q"))
            settings = Settings(queue_url=queue_url, port=0, render_isolation=isolation)
            await nursery.start(service.run, settings)
            async with AsyncClient(queue_url) as client:
                results = client.results(wait=None)
                for _ in range(count + 1):
                    begun = trio.current_time()
                    await client.submit(view)
                    result = await anext(results)
                    result.save(folder)
                    await result.acknowledge()
                    times.append((trio.current_time() - begun) * 1000)
            nursery.cancel_scope.cancel()
    return times


def main() -> None:
    """Print the first, median and slowest latency for both kinds of isolation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--view", default="binary_cards")
    arguments = parser.parse_args()
    logs.configure("console", "error")
    for isolation in ("thread", "process"):
        first, *rest = trio.run(measure, arguments.view, arguments.count, isolation)
        print(
            f"{arguments.view}, {isolation}: first {first:.0f} ms, "
            f"then median {statistics.median(rest):.0f} ms, slowest {max(rest):.0f} ms of {len(rest)}"
        )


if __name__ == "__main__":
    main()
