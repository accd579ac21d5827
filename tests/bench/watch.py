"""Somebody who watches /health, in a process of its own, so that what else is measured doesn't slow the clock.

usage: python -m tests.bench.watch ADDRESS SECONDS → milliseconds of each answer, one a line; fails when one isn't 200
"""

from __future__ import annotations

import http.client
import sys
import time
from urllib.parse import urlsplit

PAUSE = 0.02  # s between two looks


def main(address: str, seconds: float) -> None:
    """Print how long each answer took."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        connection.request("GET", "/health")
        response = connection.getresponse()
        response.read()
        print(f"{(time.perf_counter() - begun) * 1000:.2f}")
        if response.status != 200:
            raise SystemExit(f"/health said {response.status}")
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
