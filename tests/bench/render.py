"""Documents per second on one core: the whole catalogue, in every combination and on both paper sizes.

usage: scripts/bench render [--rounds 3] [--rivals]

With --rivals, other libraries also draw the eight binary cards, alternating in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from render_trio.rendering.pipeline import produce
from resources.registry import CATALOGUE
from resources.request import Request
from tests.requests import all_requests, request_for

RIVAL_ROUNDS = 25  # enough for a stable median on a noisy machine
RIVAL_SECONDS = 12.0  # the longest time spent on one library


def timed(work: Callable[[], object]) -> float:
    """Return the duration of one call in ms."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def draw(request: Request) -> bytes:
    """Return the finished document."""
    return produce(request, lambda: None).pdf


def measure_catalogue(rounds: int) -> None:
    """Print a line for each resource, then the rate in documents per second and the sizes."""
    requests = all_requests()
    sizes = sorted(len(draw(request)) for request in requests)  # also warms up: fonts and artwork are loaded
    times: dict[Request, list[float]] = {request: [] for request in requests}
    rates = []
    for _ in range(rounds):
        for request in requests:
            times[request].append(timed(lambda request=request: draw(request)))  # type: ignore[misc]
        rates.append(len(requests) / sum(taken[-1] for taken in times.values()) * 1000)
    print(f"{'resource':26}{'documents':>10}{'median ms':>10}{'slowest ms':>11}{'default ms':>11}{'median kB':>10}")
    for view in CATALOGUE:
        own = [request for request in requests if request.view == view]
        medians = [statistics.median(times[request]) for request in own]
        default = request_for(view, header_text="Room Four")
        default_time = statistics.median(timed(lambda default=default: draw(default)) for _ in range(5))  # type: ignore[misc]
        size = statistics.median(len(draw(request)) for request in own) / 1000
        print(
            f"{view:26}{len(own):10}{statistics.median(medians):10.1f}{max(medians):11.1f}{default_time:11.1f}{size:10.1f}"
        )
    print(
        f"\n{len(requests)} documents, {rounds} rounds: median {statistics.median(rates):.1f} documents/s "
        f"(from {min(rates):.1f} to {max(rates):.1f}); "
        f"size: median {statistics.median(sizes) / 1000:.1f} kB, largest {sizes[-1] / 1000:.1f} kB"
    )


def measure_rivals() -> None:
    """Print the time for the eight binary cards with each library; the libraries alternate in each round."""
    from tests.bench.rivals import RIVALS

    request = request_for("binary_cards", display_numbers=True, black_back=False)
    makers = {"render-trio (checked)": lambda: draw(request), **RIVALS}
    times: dict[str, list[float]] = {name: [] for name in makers}
    sizes = {name: len(make()) for name, make in makers.items()}
    for _ in range(RIVAL_ROUNDS):
        for name, make in makers.items():
            if sum(times[name]) < RIVAL_SECONDS * 1000:
                times[name].append(timed(make))
    ours = statistics.median(times["render-trio (checked)"])
    print("\nEight binary cards, 255 dots, with numbers:")
    for name, taken in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        median = statistics.median(taken)
        print(f"{name:26}{median:9.1f} ms{median / ours:8.2f} ×{sizes[name] / 1000:9.1f} kB")


def main() -> None:
    """Run the benchmarks named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rivals", action="store_true")
    arguments = parser.parse_args()
    measure_catalogue(arguments.rounds)
    if arguments.rivals:
        measure_rivals()


if __name__ == "__main__":
    main()
