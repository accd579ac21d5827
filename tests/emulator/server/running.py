"""A queue service for tests: a real server in this process, on a free port, with a client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trio

from emulator.server.serving import serve
from emulator.settings import EmulatorSettings

PROJECT = "/taskqueue/v1beta2/projects/s~shop/taskqueues"
TASKS = f"{PROJECT}/print/tasks"
CLOUD = "/v2beta2/projects/shop/locations/here/queues/print"
PAYLOAD = "eyJhIjogMX0="


@asynccontextmanager
async def emulator(store: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve with these settings; yield a client."""
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, EmulatorSettings(port=0, store=store, **settings))
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            yield client
        nursery.cancel_scope.cancel()


async def insert(client: httpx.AsyncClient, tasks: str = TASKS, **fields: Any) -> httpx.Response:
    """Insert a task over Task Queue v1beta2."""
    return await client.post(tasks, json={"payloadBase64": PAYLOAD, **fields})


def error_of(response: httpx.Response) -> dict[str, Any]:
    """Return the first entry of an error, after checking that it has Google's older format."""
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    body = response.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"errors", "code", "message"}
    assert error["code"] == response.status_code
    first = error["errors"][0]
    assert first["message"] == error["message"] != ""
    assert first["domain"] == "global"
    assert first["reason"]
    assert ("location" in first) == ("locationType" in first)
    return dict(first)
