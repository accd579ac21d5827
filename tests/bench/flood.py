"""How long a producer's tasks and /health take while visitors flood the service, now and in another version.

usage: scripts/bench flood [--seconds 20] [--visitors 20] [--threads 4] [--isolation thread|process]
       [--before GIT_REF]

With --before, the queue and the service of that version are measured first, on the same machine. It needs git. Visitors
draw documents on demand, each twice a second; the threads submit unique tasks as fast as they are answered.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import tempfile
from pathlib import Path

import trio

from tests.conftest import ROOT
from tests.processes import queue, start_service
from tests.security.flood import Flood, flooding, percentile, size_of

INTERVAL = 0.5  # s between two tasks of the producer


def measure(
    source: Path, seconds: float, visitors: int, threads: int, isolation: str, *, former: bool
) -> tuple[Flood, int]:
    """Return what happened in a flood of a version in the folder `source`, and the bytes on disk at its end."""

    async def attack(service: str, queue_address: str) -> Flood:
        options = {"threads": threads, "visitors": visitors}
        async with flooding(service, queue_address, interval=INTERVAL, reply_tag=former, **options) as flood:
            await trio.sleep(seconds)
        return flood

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(source):  # the processes import from there
        place = Path(folder)
        with queue(f"sqlite:///{folder}/queue.sqlite3") as running:
            service = start_service(
                running.address,
                place / "log",
                RENDER_WORKERS=1,
                RENDER_ISOLATION=isolation,
                DOCUMENT_STORE=place / "documents",
            )
            try:
                return trio.run(attack, service.address, running.address), size_of(place)
            finally:
                service.end()


def report(name: str, flood: Flood, size: int, seconds: float) -> None:
    """Print the figures of one version."""
    waits = flood.waits_ms
    missing = len(flood.inserted) - len(flood.ended)
    print(
        f"{name}: producers' tasks median {statistics.median(waits):.0f} ms, 95 % in {percentile(waits, 95):.0f} ms "
        f"of {len(waits)} ({missing} not done); /health 99 % within {percentile(flood.health_ms, 99):.1f} ms; "
        f"{flood.statuses.get(202, 0) / seconds:.1f} web tasks/s accepted; {size / 1e6:.1f} MB on disk",
        flush=True,
    )


def main() -> None:
    """Print a line for each version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--isolation", choices=("thread", "process"), default="thread")
    parser.add_argument("--before", metavar="GIT_REF")
    arguments = parser.parse_args()
    load = arguments.seconds, arguments.visitors, arguments.threads, arguments.isolation
    if arguments.before:
        with tempfile.TemporaryDirectory() as folder:
            archive = subprocess.run(
                ["git", "-C", str(ROOT), "archive", arguments.before], check=True, capture_output=True
            ).stdout
            subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
            report(arguments.before, *measure(Path(folder), *load, former=True), load[0])
    report("now", *measure(ROOT, *load, former=False), load[0])


if __name__ == "__main__":
    main()
