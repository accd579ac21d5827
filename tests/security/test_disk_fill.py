"""Attack: unique tasks, whose results are never fetched, fill the disk.

Version 0.1.0 kept their results for ever if each had a `reply_tag` of its own: 57 MB in 10 s.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx

from render_trio.queue.producer import task_values
from render_trio.web.tasks.ledger import RESERVED_BYTES
from tests.processes import queue, start_service
from tests.security.flood import size_of

QUOTA = 8 * 1024 * 1024
FILES_BYTES = 8 * 1024 * 1024  # that the SQLite file and its journal take besides the payloads
SECONDS = 4.0


def test_unique_tasks_from_many_addresses_take_no_more_than_the_quota_on_disk(tmp_path: Path) -> None:
    """Each address looks at its last task, so that the amount reserved for it is corrected as soon as possible."""
    settings = {"WEB_TASK_BYTES": QUOTA, "DOCUMENT_STORE": tmp_path / "documents", "MAX_QUEUE_TASK_SIZE": "10 KiB"}
    sizes, accepted, refused = [], 0, 0
    with queue(f"sqlite:///{tmp_path}/queue.sqlite3") as running:
        service = start_service(running.address, tmp_path / "log", **settings)
        try:
            deadline = time.monotonic() + SECONDS
            number = 0
            while time.monotonic() < deadline:
                number += 1
                transport = httpx.HTTPTransport(verify=False, local_address=f"127.0.0.{number % 200 + 2}")
                with httpx.Client(base_url=service.address, transport=transport, trust_env=False, timeout=60) as client:
                    values = task_values("binary_cards", {"header_text": f"unique {number}"})[1]
                    body = json.dumps({"kind": "task#render", **values})
                    response = client.post("/tasks", content=body, headers={"Content-Type": "application/json"})
                    if response.status_code == 202:
                        accepted += 1
                        client.get(response.headers["Location"])
                    else:
                        assert response.status_code in (429, 503), response.text  # one address is used again
                        assert response.json()["code"] == "quota_exceeded"
                        refused += 1
                sizes.append(size_of(tmp_path) - (tmp_path / "log").stat().st_size)
        finally:
            service.end()
    assert refused > 0
    # Documents in the store count with the largest size, so few tasks fit.
    assert accepted <= QUOTA // RESERVED_BYTES + QUOTA // (1024 * 1024)
    assert max(sizes) < QUOTA + FILES_BYTES
