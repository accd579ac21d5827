"""A queue in its own process for tests that cause faults, with calls in both dialects."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.emulator.server.running import CLOUD, TASKS
from tests.processes import Running, environment, start_queue

HEALTH = ("/health", "/readyz")
CALL_SECONDS = 15.0  # longer than any call may take
FILLER = "filler"
# Root may write every file. Without this capability, it may not, like any other user.
RESTRICTED = ("setpriv", "--bounding-set=-dac_override")


class Queue:
    """A running queue and a client."""

    def __init__(self, running: Running, client: httpx.Client) -> None:
        self.running = running
        self.client = client
        self.expected_code = 0

    def insert(self, name: str, payload: str = "eA==") -> httpx.Response:
        """Insert a task over Task Queue v1beta2."""
        return self.client.post(TASKS, json={"id": name, "payloadBase64": payload})

    def insertion(self, name: str) -> dict[str, Any]:
        """Return the arguments of a `httpx.post` that inserts a task over a new connection."""
        url = f"{self.running.address}{TASKS}"
        return {"url": url, "json": {"id": name, "payloadBase64": "eA=="}, "trust_env": False, "timeout": CALL_SECONDS}

    def create(self, name: str, payload: str = "eA==") -> httpx.Response:
        """Insert a task over Cloud Tasks v2beta2."""
        task = {"name": f"{CLOUD[len('/v2beta2/') :]}/tasks/{name}", "pullMessage": {"payload": payload}}
        return self.client.post(f"{CLOUD}/tasks", json={"task": task})

    def lease(self, count: int = 100, seconds: int = 600) -> list[str]:
        """Lease tasks; return their IDs."""
        reply = self.client.post(f"{TASKS}/lease?numTasks={count}&leaseSecs={seconds}&fields=items(id)")
        assert reply.status_code == 200, reply.text
        return [item["id"] for item in reply.json().get("items", [])]

    def delete(self, name: str) -> int:
        """Delete a task; return the status."""
        return self.client.delete(f"{TASKS}/{name}").status_code

    def health(self, path: str = "/health") -> tuple[int, str]:
        """Return the status and, of an error, the message."""
        reply = self.client.get(path)
        return reply.status_code, reply.json().get("error", {}).get("message", "")

    def wait_for_health(self, status: int, ready: int | None = None) -> str:
        """Wait until `/health` has the status and `/readyz` the same or `ready`; return the message of `/health`.

        Fails after a few seconds.
        """
        expected = [status, status if ready is None else ready]
        deadline = time.monotonic() + 10
        while True:
            found = [self.health(path) for path in HEALTH]
            if [code for code, _ in found] == expected:
                return found[0][1]
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    def wait_until_full(self, cause: str) -> None:
        """Wait until the health reports a full disk. The queue stays ready, because only leasing makes room."""
        assert cause in self.wait_for_health(503, ready=200)
        (warning,) = self.client.get("/readyz").json()["warnings"]
        assert cause in warning

    def refused(self, cause: str) -> None:
        """Check that both dialects refuse an insert with status 503, Retry-After and the cause."""
        older, newer = self.insert("refused"), self.create("refused")
        for reply in (older, newer):
            assert (reply.status_code, reply.headers.get("Retry-After")) == (503, "1"), reply.text
            assert cause in reply.json()["error"]["message"]
        assert older.json()["error"]["errors"][0]["reason"] == "backendError"
        assert newer.json()["error"]["status"] == "UNAVAILABLE"
        assert self.client.get("/livez").status_code == 200

    def end(self, number: signal.Signals) -> None:
        """Send a signal and wait until the process has ended, with exit code 0 unless it was killed."""
        self.expected_code = 0 if number != signal.SIGKILL else -number
        assert self.running.end(number, CALL_SECONDS) == self.expected_code


@contextmanager
def running_queue(file: Path, *options: str, prefix: tuple[str, ...] = (), **settings: str) -> Iterator[Queue]:
    """Run a queue with this store. It must end in order when it gets SIGTERM, whatever state it is in."""
    running = start_queue(f"sqlite:///{file}", *options, prefix=prefix, **settings)
    try:
        with httpx.Client(base_url=running.address, trust_env=False, timeout=CALL_SECONDS) as client:
            queue = Queue(running, client)
            yield queue
        assert running.end(seconds=CALL_SECONDS) == queue.expected_code
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.process.kill()
        running.process.wait()


def fill(folder: Path) -> Path:
    """Fill the disk of a folder completely, as another program would; return the file."""
    filler = folder / FILLER
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while file.write(b"x" * 4096) == 4096:
            pass
    return filler


def refused_start(file: Path, *prefix: str) -> str:
    """Start a queue that is expected to exit with code 1; return the line that states the reason."""
    command = [*prefix, sys.executable, "-m", "emulator", "--port", "0", "--store", f"sqlite:///{file}"]
    ended = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=CALL_SECONDS
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, ended.stderr
    return lines[0]
