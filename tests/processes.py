"""Real processes for acceptance tests: the queue, the service, the command line; ended by their own id."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.redis_server import free_port

START_SECONDS = 30.0


@dataclass
class Running:
    """A process of ours, and the address it answers at."""

    process: subprocess.Popen[str]
    address: str

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 40) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)


def environment(**settings: str | int) -> dict[str, str]:
    """Return this environment with settings; none of ours leaks in."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV")}
    return kept | {name: str(value) for name, value in settings.items()}


def render_trio(*arguments: str, **settings: str | int) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-m", "render_trio", *arguments]
    return subprocess.run(
        command, env=environment(**settings), capture_output=True, text=True, check=False, timeout=120
    )


@contextmanager
def queue(store: str, processes: int = 1) -> Iterator[Running]:
    """Run the queue service on a free port."""
    command = [sys.executable, "-m", "emulator", "--port", "0", "--store", store]
    if processes > 1:
        command += ["--processes", str(processes)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        found = re.search(r"http://\S+", process.stdout.readline())
        running = Running(process, found[0] if found else "")
        try:
            assert found, "the queue did not start"
            yield running
        finally:
            running.end()


def start_service(queue_url: str, log: Path, **settings: str | int) -> Running:
    """Start the service on a free port and wait until it is alive."""
    port = free_port()
    with log.open("a") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "render_trio", "serve"],
            env=environment(QUEUE_URL=queue_url, PORT=port, **settings),
            stdout=output,
            stderr=output,
            text=True,
        )
    running = Running(process, f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{running.address}/livez", trust_env=False).status_code == 200:
                return running
        except httpx.TransportError:
            time.sleep(0.02)
    running.end(signal.SIGKILL)
    raise AssertionError(f"the service did not start: {log.read_text()}")
