"""Real processes for tests: the queue, the service and the command line. Each is stopped by its own process ID."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.redis_server import free_port

START_SECONDS = 30.0


@dataclass
class Running:
    """A running process, and the URL of its server."""

    process: subprocess.Popen[str]
    address: str

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 40) -> int:
        """Send a signal and return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)


# COVERAGE_PROCESS_CONFIG: coverage measures child processes too.
INHERITED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "COVERAGE_PROCESS_CONFIG")


def environment(**settings: str | int) -> dict[str, str]:
    """Return an environment with these settings, and none of those of the test run."""
    kept = {name: value for name, value in os.environ.items() if name in INHERITED}
    return kept | {name: str(value) for name, value in settings.items()}


def render_trio(*arguments: str, **settings: str | int) -> subprocess.CompletedProcess[str]:
    """Run a `render-trio` command until it exits."""
    command = [sys.executable, "-m", "render_trio", *arguments]
    return subprocess.run(
        command, env=environment(**settings), capture_output=True, text=True, check=False, timeout=120
    )


def _command(module: str, clock: Path | None) -> list[str]:
    """Return a command that runs a module, with its clock shifted by a file if given (tests/shifted_clock.py)."""
    return [sys.executable, "-m", *(["tests.shifted_clock"] if clock else []), module]


def start_queue(
    store: str,
    *options: str,
    port: int = 0,
    log: Path | None = None,
    clock: Path | None = None,
    prefix: tuple[str, ...] = (),
    **settings: str,
) -> Running:
    """Start the queue service; port 0 chooses a free one. Without `log`, it shares the stderr of the tests.

    `prefix` is a command that runs it, `settings` are environment variables.
    """
    with log.open("a") if log else nullcontext() as output:
        process = subprocess.Popen(
            [*prefix, *_command("emulator", clock), "--port", str(port), "--store", store, *options],
            env=environment(CLOCK_FILE=str(clock or ""), **settings),
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    assert process.stdout is not None
    with process.stdout:
        found = re.search(r"http://\S+", process.stdout.readline())
    running = Running(process, found[0] if found else "")
    if not found:
        running.end()
        raise AssertionError("the queue did not start")
    return running


@contextmanager
def queue(store: str, processes: int = 1, *options: str) -> Iterator[Running]:
    """Run the queue service on a free port."""
    if processes > 1:
        options += ("--processes", str(processes))
    running = start_queue(store, *options)
    try:
        yield running
    finally:
        running.end()


SERVICE = ("-m", "render_trio", "serve")


def start_service(
    queue_url: str,
    log: Path,
    *,
    program: tuple[str, ...] = SERVICE,
    clock: Path | None = None,
    **settings: str | int,
) -> Running:
    """Start the service, or a program in its place, on a free port and wait until it answers requests."""
    port = free_port()
    with log.open("a") as output:
        process = subprocess.Popen(
            [sys.executable, *program] if clock is None else [*_command("render_trio", clock), "serve"],
            env=environment(QUEUE_URL=queue_url, PORT=port, CLOCK_FILE=str(clock or ""), **settings),
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


def children_of(process: int) -> list[int]:
    """Return the IDs of a process's children. The kernel lists them by the thread that started them."""
    tasks = Path(f"/proc/{process}/task")
    return [int(child) for thread in tasks.iterdir() for child in _read(thread / "children").split()]


def _read(path: Path) -> str:
    """Return the content of a file in /proc; nothing if its thread or process has just exited."""
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
