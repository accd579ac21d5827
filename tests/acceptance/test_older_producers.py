"""Tasks as producers of earlier years send them go through a real queue and a running service."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pikepdf
import trio

from emulator.server.serving import serve as serve_queue
from emulator.settings import EmulatorSettings
from render_trio.service import service
from render_trio.settings.settings import Settings

# What the tests of the first render service put on its queue: relative addresses, or none.
LINES = (Path(__file__).parent / "older-payloads.jsonl").read_text(encoding="utf-8").splitlines()
PAYLOADS = [json.loads(line) for line in LINES]
TASKS = "/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"


async def results_of(payloads: list[dict[str, Any]], folder: Path) -> dict[str, dict[str, Any]]:
    """Submit the payloads to a queue that a service works on; return the results by the ID of their tasks."""
    results: dict[str, dict[str, Any]] = {}
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve_queue, EmulatorSettings(port=0, store=f"sqlite:///{folder / 'queue'}"))
        await nursery.start(service.run, Settings(queue_url=address, port=0))
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=90) as http:
            for number, payload in enumerate(payloads):
                content = base64.b64encode(json.dumps(payload).encode()).decode()
                body = {"id": f"task-{number}", "queueName": "render", "payloadBase64": content, "tag": "task"}
                (await http.post(TASKS, json=body)).raise_for_status()
            query = {"numTasks": "100", "leaseSecs": "600", "groupByTag": "true", "tag": "result"}
            with trio.fail_after(120):
                while len(results) < len(payloads):
                    reply = await http.post(f"{TASKS}/lease", params=query, headers={"Prefer": "wait=20"})
                    for item in reply.json().get("items", []):
                        result = json.loads(base64.b64decode(item["payloadBase64"]))
                        assert result["task_id"] not in results, "a second result"
                        results[result["task_id"]] = result
        nursery.cancel_scope.cancel()
    return results


async def test_every_task_of_the_first_producers_yields_a_document(tmp_path: Path) -> None:
    results = await results_of(PAYLOADS, tmp_path)
    assert len(PAYLOADS) == 222
    assert Counter(result["success"] for result in results.values()) == {True: 222}
    for number, payload in enumerate(PAYLOADS):
        result = results[f"task-{number}"]
        pdf = base64.b64decode(result["document"])
        assert hashlib.sha256(pdf).hexdigest() == result["sha256"]
        with pikepdf.open(io.BytesIO(pdf)) as document:
            assert len(document.pages) == result["pages"]
        assert result["filename"].startswith(payload["resource_name"])
        assert result["warnings"] == []


async def test_what_a_document_leaves_out_is_listed_in_the_result(tmp_path: Path) -> None:
    payload = {
        "kind": "task#render",
        "resource_view": "grid.py",
        "resource_slug": None,
        "url": f"/en/resources/grid/?header={'%D0%96' * 86}",
        "header_text": "Класс ✓",
        "paper_size": "a4",
        "copies": None,
        "template": "grid.html",
        "css": None,
    }
    result = (await results_of([payload], tmp_path))["task-0"]
    assert result["success"]
    assert result["filename"] == "Grid (a4).pdf"
    assert {(warning["code"], warning["field"]) for warning in result["warnings"]} == {
        ("unknown_option", "template"),
        ("undrawable", "header_text"),
        ("truncated", "url"),
    }
    assert all(warning["message"] for warning in result["warnings"])
    assert len(result["fingerprint"]) == 12
    assert result["request"]["header_text"] == "Класс ✓"
