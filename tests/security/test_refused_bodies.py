"""Large bodies of requests that are refused: they take no memory, and the others are still served."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import httpx

from tests.processes import start_service

NOWHERE = "http://127.0.0.1:9"
SENDERS, BODY_BYTES = 30, 15 * 1024 * 1024
ALLOWED_MB = 30  # by which the process may grow: 450 MB are sent


def peak_megabytes(process: int) -> int:
    """Return the most memory that the process has had so far."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


def test_bodies_that_are_refused_take_no_memory(tmp_path: Path) -> None:
    service = start_service(NOWHERE, tmp_path / "log", RENDER_WORKERS=1, WEB_BODY_LIMIT="16 MiB")
    statuses: list[int] = []

    def send() -> None:
        try:
            response = httpx.post(
                f"{service.address}/render",
                content=bytes(BODY_BYTES),
                headers={"Host": "evil.example"},
                timeout=60,
                trust_env=False,
            )
            statuses.append(response.status_code)
        except httpx.TransportError:  # disconnected while it still sends
            statuses.append(421)

    try:
        httpx.get(service.address, trust_env=False)  # what is loaded by the first request doesn't count
        before = peak_megabytes(service.process.pid)
        senders = [threading.Thread(target=send) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert statuses == [421] * SENDERS
        assert peak_megabytes(service.process.pid) - before < ALLOWED_MB
        assert httpx.get(f"{service.address}/", trust_env=False).status_code == 200
    finally:
        assert service.end() == 0
