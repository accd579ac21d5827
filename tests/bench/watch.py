"""Polls /health from a separate process, so that other measurements don't distort its response times.

usage: python -m tests.bench.watch ADDRESS SECONDS → each response time in ms, one per line; fails if a status isn't 200
"""

from __future__ import annotations

import http.client
import sys
import time
from urllib.parse import urlsplit

PAUSE = 0.02  # s between two requests


def main(address: str, seconds: float) -> None:
    """Print the time of each response."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        connection.request("GET", "/health")
        response = connection.getresponse()
        response.read()
        print(f"{(time.perf_counter() - begun) * 1000:.2f}")
        if response.status != 200:
            raise SystemExit(f"/health returned {response.status}")
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
