"""Tasks submitted over HTTP to a real queue: their state, their documents, and the deletion of their results."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio
from structlog.testing import capture_logs

from emulator.server.serving import serve as serve_queue
from emulator.settings import EmulatorSettings
from render_trio.delivery.directory import DirectoryStore
from render_trio.errors import InvalidTaskError, QueueUnavailableError
from render_trio.queue.identity import web_result_id
from render_trio.queue.interface import FoundTask
from render_trio.queue.messages import (
    TASK_BYTES,
    DocumentResult,
    LeasedTask,
    LinkResult,
    Result,
    checked_task,
    decode,
    encode_result,
    failure,
)
from render_trio.queue.producer import task_values
from render_trio.web.tasks import submissions
from tests.render_trio.web.operated import Site, get, running
from tests.render_trio.web.server.listening import listening

PAGE = {"Accept": "text/html"}
PDF = b"%PDF-1.7 a document"
DIGEST = hashlib.sha256(PDF).hexdigest()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with trio.open_nursery() as nursery:
        settings = EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'queue.sqlite3'}")
        address = await nursery.start(serve_queue, settings)
        (tmp_path / "documents").mkdir()
        async with running(Site(address, DirectoryStore(tmp_path / "documents", ""))) as site:
            yield site
        nursery.cancel_scope.cancel()


def task(**options: Any) -> dict[str, Any]:
    return {"kind": "task#render", **task_values("parity_cards", {})[1], **options}


async def post(site: Site, content: bytes, content_type: str = "application/json") -> httpx.Response:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        return await client.post("/tasks", content=content, headers={"Content-Type": content_type})


async def submit(site: Site, **options: Any) -> str:
    response = await post(site, msgspec.json.encode(task(**options)))
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == response.json()["url"] == f"/tasks/{response.json()['id']}"
    return str(response.json()["id"])


async def lease(site: Site) -> LeasedTask:
    (leased,) = (await site.queue.lease(1, 60, tag="web-task")).tasks
    return leased


async def settle(site: Site, task_id: str, result: Result, tag: str = "web-result") -> None:
    """Finish a task as a worker does."""
    await site.queue.insert(web_result_id(task_id), encode_result(result), tag)
    await site.queue.delete(task_id)


def done(task_id: str, filename: str = "Parity Cards (a4).pdf") -> Result:
    document = base64.b64encode(PDF).decode()
    return DocumentResult(success=True, task_id=task_id, filename=filename, document=document, pages=2, sha256=DIGEST)


def linked(task_id: str, url: str, sha256: str = DIGEST) -> Result:
    return LinkResult(task_id=task_id, filename="Cards.pdf", url=url, pages=1, sha256=sha256)


async def state(site: Site, task_id: str) -> str:
    return str((await get(site, f"/tasks/{task_id}")).json()["state"])


async def test_a_task_goes_from_queued_to_rendering_to_done(site: Site) -> None:
    task_id = await submit(site)
    assert await state(site, task_id) == "queued"
    assert (await get(site, f"/tasks/{task_id}/document")).status_code == 409
    leased = await lease(site)
    assert decode(leased).reply_tag == "web-result"
    assert await state(site, task_id) == "rendering"
    await site.queue.release(leased)
    assert await state(site, task_id) == "queued", "released"
    await settle(site, task_id, done(task_id))
    view = (await get(site, f"/tasks/{task_id}")).json()
    assert (view["state"], view["pages"], view["document"]) == ("done", 2, f"/tasks/{task_id}/document")
    response = await get(site, view["document"])
    assert response.content == PDF
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"].startswith('inline; filename="Parity Cards (a4).pdf"; filename*=')


async def test_a_failure_is_reported_with_its_reason(site: Site) -> None:
    task_id = await submit(site)
    await settle(site, task_id, failure(task_id, "timed_out", "not drawn within <50> s"))
    assert (await get(site, f"/tasks/{task_id}")).json()["error"]["code"] == "timed_out"
    assert (await get(site, f"/tasks/{task_id}/document")).json()["code"] == "timed_out"
    page = (await get(site, f"/tasks/{task_id}", **PAGE)).text
    assert "It took too long to draw." in page
    assert "not drawn within" not in page, "the wording is for programs and operators"


async def test_browsers_get_a_page_that_works_without_script(site: Site) -> None:
    task_id = await submit(site)
    page = (await get(site, f"/tasks/{task_id}", **PAGE)).text
    assert "Waiting in the queue" in page
    assert '<noscript><meta http-equiv="refresh"' in page
    await settle(site, task_id, done(task_id, "<script>x</script>.pdf"))
    page = (await get(site, f"/tasks/{task_id}", **PAGE)).text
    assert "&lt;script&gt;x" in page
    assert "refresh" not in page
    assert f'href="/tasks/{task_id}/document"' in page


async def test_events_report_each_change_until_the_end(site: Site) -> None:
    task_id = await submit(site)
    async with listening(site.address, f"/tasks/{task_id}/events") as listener:
        assert '"state":"queued"' in await listener.until("event: page")
        await lease(site)
        assert '"state":"rendering"' in await listener.until("event: page")
        await settle(site, task_id, done(task_id))
        rest = await listener.rest()
        assert '"state":"done"' in rest
        assert "event: end" in rest


async def test_a_queue_error_does_not_end_a_stream(site: Site) -> None:
    task_id = await submit(site)
    async with listening(site.address, f"/tasks/{task_id}/events") as listener:
        await listener.until("event: page")
        faults = [QueueUnavailableError("not now")]
        get_task = site.queue.get

        async def fail_once(task_id: str) -> FoundTask | None:
            if faults:
                raise faults.pop()
            return await get_task(task_id)

        site.queue.get = fail_once
        await listener.until(": still here")
        await settle(site, task_id, done(task_id))
        assert '"state":"done"' in await listener.rest()


DEEPLY_NESTED = base64.b64encode(b'{"kind": ' + b"[" * 48_000).decode()


@pytest.mark.parametrize(
    "payload",
    ["bm8ganNvbg==", "e30=", "W10=", "!!", "eyJzdWNjZXNzIjoxfQ==", pytest.param(DEEPLY_NESTED, id="deeply nested")],
)
async def test_an_invalid_result_is_reported_as_a_failure(site: Site, payload: str) -> None:
    task_id = await submit(site)
    await site.queue.delete(task_id)
    site.queue.get = lambda requested: found(payload if requested.endswith("-result") else None)
    assert (await get(site, f"/tasks/{task_id}")).json()["error"]["code"] == "not_a_result"
    assert (await get(site, f"/tasks/{task_id}/document")).status_code == 404


async def found(payload: str | None) -> FoundTask | None:
    return None if payload is None else FoundTask(LeasedTask("x", payload, 0, 0, 0), "web-result")


async def test_a_document_that_is_not_base64_is_reported_as_a_failure(site: Site) -> None:
    task_id = await submit(site)
    await settle(site, task_id, DocumentResult(success=True, task_id=task_id, filename="a.pdf", document="%%%"))
    assert (await get(site, f"/tasks/{task_id}")).json()["error"]["code"] == "not_a_result"


async def test_open_streams_do_not_delay_the_shutdown(site: Site) -> None:
    task_id = await submit(site)
    async with listening(site.address, f"/tasks/{task_id}/events") as listener:
        await listener.until("event: page")
        site.supervisor.stop()
        await listener.rest()


@pytest.mark.parametrize(
    ("content", "code", "field"),
    [
        (b"{not json", "not_json", None),
        (b"\xff", "not_json", None),
        (b"[1]", "not_an_object", None),
        (b"{}", "unknown_kind", "kind"),
        (msgspec.json.encode(task(kind="task#wash")), "unknown_kind", "kind"),
        (msgspec.json.encode(task(resource_view="laundry")), "unknown_resource", "resource_view"),
        (msgspec.json.encode(task(copies=51)), "invalid_option", "copies"),
        (msgspec.json.encode(task(resource_name="../../etc/x")), "invalid_option", "resource_name"),
        (msgspec.json.encode(task(header_text="a\x00b")), "invalid_option", "header_text"),
        (msgspec.json.encode(task(reply_tag="mine")), "unknown_option", "reply_tag"),
        (msgspec.json.encode(task(reply_tag=None)), "unknown_option", "reply_tag"),
        (msgspec.json.encode(task(__class__=1)), "unknown_option", "__class__"),
    ],
)
async def test_an_invalid_task_is_refused_with_its_field_and_never_queued(
    site: Site, content: bytes, code: str, field: str | None
) -> None:
    response = await post(site, content)
    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert (response.json()["code"], response.json().get("field")) == (code, field)
    assert (await site.queue.stats()).total == 0


def test_a_task_over_the_size_limit_is_refused() -> None:
    values = msgspec.json.encode(task())
    assert checked_task(values + b" " * (TASK_BYTES - len(values))) == task()
    with pytest.raises(InvalidTaskError, match=f"{TASK_BYTES + 1} bytes; allowed: at most {TASK_BYTES}"):
        checked_task(values + b" " * (TASK_BYTES + 1 - len(values)))


async def test_only_json_is_accepted(site: Site) -> None:
    response = await post(site, b"a=1", "application/x-www-form-urlencoded")
    assert (response.status_code, response.json()["code"]) == (415, "not_json")


@pytest.mark.parametrize("path", ["", "/document", "/events"])
async def test_tasks_of_other_producers_stay_private(site: Site, path: str) -> None:
    await site.queue.insert("secret", "e30=", "task")
    await site.queue.insert("other-result", encode_result(done("other")), "result")
    for task_id in ("secret", "other", "other-result", "web-" + "0" * 32, "..%2F..%2Fetc", "web-%00", "x" * 2000):
        response = await get(site, f"/tasks/{task_id}{path}")
        assert response.status_code == 404, task_id
        assert "etc" not in response.text


async def test_a_linked_document_is_served_from_our_store_or_redirected_to(site: Site, tmp_path: Path) -> None:
    (tmp_path / "documents" / f"{DIGEST}.pdf").write_bytes(PDF)
    (tmp_path / "secret.pdf").write_bytes(b"secret")
    forged = "0" * 64
    (tmp_path / "documents" / f"{forged}.pdf").write_bytes(b"not what its name says")
    for result, status in (
        (("file:///any/where.pdf", DIGEST), 200),
        (("https://files.example.org/x.pdf", "f" * 64), 302),
        (("https://files.example.org/x.pdf", "../secret"), 302),
        ((f"file://{tmp_path}/secret.pdf", "../secret"), 404),
        ((f"file://{tmp_path}/secret.pdf", "f" * 64), 404),
        (("javascript:alert(1)", forged), 404),
        (("https://a\r\nSet-Cookie: x", "f" * 64), 404),
    ):
        task_id = await submit(site)
        await settle(site, task_id, linked(task_id, *result))
        response = await get(site, f"/tasks/{task_id}/document")
        assert response.status_code == status, result
        assert response.content != b"secret"
        assert response.headers.get("Location", "https://files.example.org/x.pdf") == "https://files.example.org/x.pdf"
        if status == 200:
            assert response.content == PDF


async def test_a_document_store_that_fails_is_reported_unless_the_document_has_an_address(
    site: Site, tmp_path: Path
) -> None:
    task_id, elsewhere = await submit(site), await submit(site)
    await settle(site, task_id, linked(task_id, f"file://{tmp_path}/documents/{DIGEST}.pdf"))
    await settle(site, elsewhere, linked(elsewhere, "https://files.example.org/x.pdf"))
    (tmp_path / "documents").rename(tmp_path / "moved")
    with capture_logs() as lines:
        response = await get(site, f"/tasks/{task_id}/document")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
    cause = "the document store can't be read: No such file or directory"
    assert (response.json()["code"], response.json()["detail"]) == ("document_unavailable", cause)
    assert [line["error"] for line in lines if line["event"] == "stored document not read"] == [cause]
    assert (await get(site, f"/tasks/{elsewhere}/document")).status_code == 302
    (tmp_path / "moved").rename(tmp_path / "documents")
    (tmp_path / "documents" / f"{DIGEST}.pdf").write_bytes(PDF)
    assert (await get(site, f"/tasks/{task_id}/document")).content == PDF


async def test_a_document_store_that_hangs_is_reported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    class HungStore:
        def read(self, sha256: str) -> bytes | None:
            released.wait(60)
            return None

    monkeypatch.setattr(submissions, "STORE_TIMEOUT", 0.05)
    site.web_tasks._stored = HungStore()
    task_id = await submit(site)
    await settle(site, task_id, linked(task_id, f"file:///documents/{DIGEST}.pdf"))
    try:
        # One more than there are threads: a request that waits for a thread is answered, too.
        for _ in range(submissions.STORE_THREADS + 1):
            response = await get(site, f"/tasks/{task_id}/document")
            assert response.status_code == 503
            assert response.json()["detail"] == "the document store did not answer within 0 s"
    finally:
        released.set()


@pytest.mark.parametrize(
    "filename", ["a\r\nSet-Cookie: x=1.pdf", 'q"uote\\.pdf', "Māori – ½.pdf", "\u202egnp.pdf", "../../x.pdf"]
)
async def test_a_file_name_from_the_queue_can_not_break_a_header(site: Site, filename: str) -> None:
    task_id = await submit(site)
    await settle(site, task_id, done(task_id, filename))
    response = await get(site, f"/tasks/{task_id}/document")
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    assert response.headers["Content-Disposition"].startswith("inline; filename")


async def test_an_unreachable_queue_is_reported_with_retry_after() -> None:
    async with running(Site()) as site:
        for response in (await post(site, msgspec.json.encode(task())), await get(site, "/tasks/web-" + "0" * 32)):
            assert (response.status_code, response.headers["Retry-After"]) == (503, "2")
            assert response.json()["code"] == "queue_unavailable"


async def test_results_are_deleted_after_the_time_for_which_they_are_kept(site: Site) -> None:
    kept = site.web_tasks._keep
    task_id = await submit(site)
    await settle(site, task_id, done(task_id))
    await site.queue.insert("other", encode_result(done("other")), "result")
    assert await site.web_tasks.sweep() == 0
    assert await state(site, task_id) == "done", "leased by the sweep, and still visible"
    assert await site.web_tasks.sweep() == 0, "only due when its lease has expired"
    found = await site.queue.get(web_result_id(task_id))
    assert found is not None
    assert found.task.lease_us - found.task.enqueued_us >= kept * 1_000_000
    site.web_tasks._keep = 0
    await site.queue.release(found.task)
    assert await site.web_tasks.sweep() == 1
    assert (await get(site, f"/tasks/{task_id}")).status_code == 404
    assert await site.queue.get("other") is not None, "belongs to a producer"


async def post_form(site: Site, slug: str, values: dict[str, str], **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        return await client.post(f"/resources/{slug}/tasks", data=values, headers=headers)


async def test_a_resource_s_form_redirects_to_the_task_and_keeps_the_numbers_of_the_preview(site: Site) -> None:
    response = await post_form(site, "sorting-network", {"prefilled_values": "hard", "header_text": "Māori"})
    assert response.status_code == 303
    request = decode(await lease(site)).request
    assert (request.view, request.seed, request.header_text) == ("sorting_network", "1", "Māori")
    assert request.choices["prefilled_values"] == "hard"
    assert "Creating your document" in (await get(site, response.headers["Location"], **PAGE)).text


@pytest.mark.parametrize(
    ("slug", "values", "headers", "status"),
    [
        ("grid", {"copies": "99"}, {}, 400),
        ("grid", {"resource_view": "arrows"}, {}, 400),
        ("grid", {"__class__": "x"}, {}, 400),
        ("grid", {}, {"Origin": "https://example.org"}, 403),
        ("laundry", {}, {}, 404),
    ],
)
async def test_an_invalid_form_is_never_queued(
    site: Site, slug: str, values: dict[str, str], headers: dict[str, str], status: int
) -> None:
    assert (await post_form(site, slug, values, **headers)).status_code == status
    if status == 400:  # browsers are sent back to the form
        again = await post_form(site, slug, values, **headers, **PAGE)
        assert (again.status_code, again.headers["Location"].partition("?")[0]) == (303, f"/resources/{slug}")
    assert (await site.queue.stats()).total == 0
