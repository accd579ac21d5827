"""Attack: a visitor puts a document among the results of a producer, or reads a producer's tasks and results.

Version 0.1.0 accepted any `reply_tag` in `POST /tasks`, so that visitors could insert results for any producer. Its
workers leased tasks from the web and those of producers with the same tag.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from emulator.server.serving import serve as serve_queue
from emulator.settings import EmulatorSettings
from render_trio.observation.metrics import Metrics
from render_trio.queue.messages import DocumentResult, encode_result, encode_task
from render_trio.queue.producer import task_values
from render_trio.worker.limits import Limits
from tests.render_trio.fakes import FakeHeartbeat, FakeRenderer, storeless_worker
from tests.render_trio.web.operated import Site, get, running

TASK: dict[str, Any] = {"kind": "task#render", **task_values("grid", {})[1]}
FORGED_ID = "web-" + "0123456789abcdef" * 2
LIMITS = Limits(20, 50, 1.33, 3, 2)
SECRET = "Room Four"  # a header that only its producer may read


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with trio.open_nursery() as nursery:
        settings = EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'queue.sqlite3'}")
        address = await nursery.start(serve_queue, settings)
        async with running(Site(address)) as site:
            yield site
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def worker(site: Site) -> AsyncIterator[None]:
    """Run a worker until the block is left."""
    stopping = trio.Event()
    async with trio.open_nursery() as nursery:
        worker = storeless_worker(site.queue, FakeRenderer(0).make, LIMITS, Metrics(), stopping=stopping)
        nursery.start_soon(worker.run, FakeHeartbeat())
        with trio.fail_after(20):
            yield
        stopping.set()


async def results(site: Site, tag: str) -> list[str]:
    """Return the IDs of the entries that a program gets which leases with a tag."""
    return [task.id for task in (await site.queue.lease(100, 60, tag=tag)).tasks]


async def post(site: Site, body: bytes) -> httpx.Response:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        return await client.post("/tasks", content=body, headers={"Content-Type": "application/json"})


async def post_form(site: Site, values: list[tuple[str, str]]) -> httpx.Response:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = str(httpx.QueryParams(values))
        return await client.post("/resources/grid/tasks", content=body, headers=headers)


async def ended(site: Site, path: str) -> dict[str, Any]:
    while True:
        state = (await get(site, path)).json()
        if state["state"] in ("done", "failed"):
            return dict(state)
        await trio.sleep(0.01)


def with_pairs(*pairs: str) -> bytes:
    """Return the JSON text of a task with further pairs, which are written as they are."""
    return (json.dumps(TASK)[:-1] + "".join(f", {pair}" for pair in pairs) + "}").encode()


FORMS = {
    "plain": with_pairs('"reply_tag": "result"'),
    "escaped key": with_pairs(r'"\u0072eply_tag": "result"'),
    "escaped value": with_pairs(r'"reply_tag": "\u0072esult"'),
    "twice": with_pairs('"reply_tag": "result"', '"reply_tag": "result"'),
    "null last": with_pairs('"reply_tag": "result"', '"reply_tag": null'),
    "null first": with_pairs('"reply_tag": null', '"reply_tag": "result"'),
    "null": with_pairs('"reply_tag": null'),
    "empty": with_pairs('"reply_tag": ""'),
    "list": with_pairs('"reply_tag": ["result"]'),
    "object": with_pairs('"reply_tag": {"reply_tag": "result"}'),
    "the tag of the web": with_pairs('"reply_tag": "web-result"'),
    "the tag of tasks": with_pairs('"reply_tag": "task"'),
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS)
async def test_a_task_that_names_a_reply_tag_is_refused_with_the_field(site: Site, body: bytes) -> None:
    response = await post(site, body)
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["field"] == "reply_tag"
    assert "reply_tag is not allowed" in response.json()["detail"]
    assert (await site.queue.stats()).total == 0


@pytest.mark.parametrize(
    "body",
    [
        with_pairs('"Reply_Tag": "result"'),
        with_pairs(r'"reply_tag\u0000": "result"'),
        with_pairs('"reply_tag ": "result"'),
        with_pairs('"reply-tag": "result"'),
        with_pairs('"tag": "result"'),
        json.dumps(TASK | {"reply_tag": "result"}).encode("utf-16"),
        b"\xef\xbb\xbf" + with_pairs('"reply_tag": "result"'),
    ],
    ids=["capitals", "nul", "space", "hyphen", "tag", "utf-16", "byte order mark"],
)
async def test_no_other_spelling_of_the_key_is_accepted(site: Site, body: bytes) -> None:
    assert (await post(site, body)).status_code == 400
    assert (await site.queue.stats()).total == 0


@pytest.mark.parametrize("values", [[("reply_tag", "result")], [("reply_tag", "")], [("reply_tag", "a")] * 2])
async def test_a_form_can_not_choose_the_reply_tag(site: Site, values: list[tuple[str, str]]) -> None:
    response = await post_form(site, values)
    assert (response.status_code, response.json()["field"]) == (400, "reply_tag")
    assert (await site.queue.stats()).total == 0


async def test_documents_of_visitors_are_never_among_the_results_of_producers(site: Site) -> None:
    submitted = await post(site, json.dumps(TASK).encode())
    assert submitted.status_code == 202
    form = await post_form(site, [])
    async with worker(site):
        for path in (submitted.headers["Location"], form.headers["Location"]):
            assert (await ended(site, path))["state"] == "done"
    assert await results(site, "result") == []
    assert len(await results(site, "web-result")) == 2


async def test_a_worker_ignores_the_reply_tag_of_a_task_from_the_web(site: Site) -> None:
    """In depth: even if a task with a reply tag gets past the web server, for one of another version."""
    await site.queue.insert(FORGED_ID, encode_task(TASK | {"reply_tag": "result"}), "web-task")
    broken = FORGED_ID[:-1] + "0"
    await site.queue.insert(broken, encode_task(TASK | {"reply_tag": "result", "copies": 99}), "web-task")
    async with worker(site):
        assert (await ended(site, f"/tasks/{FORGED_ID}"))["state"] == "done"
        assert (await ended(site, f"/tasks/{broken}"))["error"]["code"] == "invalid_option"
    assert await results(site, "result") == []


@pytest.mark.parametrize("path", ["", "/document", "/events"])
async def test_a_producer_s_task_and_its_result_can_not_be_read_even_under_an_id_of_the_web(
    site: Site, path: str
) -> None:
    """A producer may choose any ID, also one that looks like those of tasks from the web."""
    for task_id in (FORGED_ID, "secret"):
        await site.queue.insert(task_id, encode_task(TASK | {"header_text": SECRET}), "task")
        response = await get(site, f"/tasks/{task_id}{path}")
        assert (response.status_code, SECRET in response.text) == (404, False)
        await site.queue.delete(task_id)
        result = DocumentResult(success=True, task_id=task_id, filename=f"{SECRET}.pdf", document="JVBERi0xLjc=")
        await site.queue.insert(f"{task_id}-result", encode_result(result), "result")
        for name in (task_id, f"{task_id}-result"):
            response = await get(site, f"/tasks/{name}{path}")
            assert (response.status_code, SECRET in response.text) == (404, False)


async def test_the_deletion_of_old_results_spares_those_of_producers(site: Site) -> None:
    await site.queue.insert("mine", encode_task(TASK | {"reply_tag": "web-result"}), "task")
    async with worker(site):
        while await site.queue.get("mine") is not None:  # noqa: ASYNC110 - real time
            await trio.sleep(0.01)
    assert len(await results(site, "result")) == 1, "a failure result, because that tag is reserved"


async def test_a_task_of_an_older_web_server_is_rendered_and_shown_during_an_upgrade(site: Site) -> None:
    """Version 0.1.0 inserts tasks from the web with the tag of producers."""
    await site.queue.insert(FORGED_ID, encode_task(TASK | {"reply_tag": "web-result"}), "task")
    assert (await get(site, f"/tasks/{FORGED_ID}")).json()["state"] == "queued"
    async with worker(site):
        assert (await ended(site, f"/tasks/{FORGED_ID}"))["state"] == "done"
    assert (await get(site, f"/tasks/{FORGED_ID}/document")).status_code == 200
