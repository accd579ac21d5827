"""Quotas of tasks from the web: what is reserved, corrected and released, and how a request over a quota is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from emulator.server.serving import serve as serve_queue
from emulator.settings import EmulatorSettings
from render_trio.errors import QueueUnavailableError
from render_trio.queue.messages import encode_result
from render_trio.web.access.quotas import QuotaError
from render_trio.web.tasks.ledger import RESERVED_BYTES, WORK_SECONDS, Ledger
from tests.render_trio.web.operated import KEEP_SECONDS, WEB_TASK_BYTES, WEB_TASKS, Site, get, running
from tests.render_trio.web.tasks.test_tasks import PAGE, done, linked, post, settle, submit, task


class Time:
    def __init__(self) -> None:
        self.now = 0.0


def ledger(tasks: int = 8, size: int = 100 * RESERVED_BYTES) -> tuple[Ledger, Time]:
    time = Time()
    return Ledger(tasks, size, 100, clock=lambda: time.now), time


def test_a_client_may_have_a_quarter_of_the_tasks() -> None:
    tasks, _ = ledger()
    tasks.reserve("a", "one")
    tasks.reserve("b", "one")
    with pytest.raises(QuotaError, match="tasks of this client: 2 allowed") as refused:
        tasks.reserve("c", "one")
    assert refused.value.own
    tasks.release("a")
    tasks.reserve("c", "one")


def test_all_clients_together_may_have_the_total() -> None:
    tasks, _ = ledger()
    for number in range(8):
        tasks.reserve(str(number), f"client-{number}")
    with pytest.raises(QuotaError, match="tasks of all clients: 8 allowed") as refused:
        tasks.reserve("x", "another")
    assert not refused.value.own


def test_the_largest_amount_is_reserved_and_corrected_when_the_result_is_seen() -> None:
    tasks, _ = ledger(tasks=100, size=8 * RESERVED_BYTES)
    tasks.reserve("a", "one")
    tasks.reserve("b", "one")
    with pytest.raises(QuotaError, match="bytes of documents of this client"):
        tasks.reserve("c", "one")
    assert tasks.used_bytes == 2 * RESERVED_BYTES, "nothing was counted for the refused task"
    tasks.correct("a", 1000)
    tasks.correct("a", 1000)
    tasks.correct("another server's", 1000)
    assert tasks.used_bytes == RESERVED_BYTES + 1000
    with pytest.raises(QuotaError):
        tasks.reserve("c", "one")
    tasks.release("b")
    tasks.release("b")
    tasks.reserve("c", "one")
    tasks.release("a")
    tasks.release("c")
    assert tasks.used_bytes == 0


def test_a_task_whose_end_is_never_seen_is_overdue_in_the_end() -> None:
    tasks, time = ledger()
    tasks.reserve("a", "one")
    time.now = 2 * 100 + WORK_SECONDS - 1
    tasks.reserve("b", "one")
    assert tasks.overdue() == []
    time.now += 1
    assert tasks.overdue() == ["a"]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with trio.open_nursery() as nursery:
        settings = EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'queue.sqlite3'}")
        address = await nursery.start(serve_queue, settings)
        async with running(Site(address)) as site:
            yield site
        nursery.cancel_scope.cancel()


async def refused(site: Site) -> httpx.Response:
    return await post(site, msgspec.json.encode(task()))


async def test_a_class_of_thirty_behind_one_address_can_submit_a_task_each(site: Site) -> None:
    for _ in range(30):
        await submit(site)


async def test_a_client_over_its_quota_gets_429_and_another_client_is_served(site: Site) -> None:
    for number in range(WEB_TASK_BYTES // 4 // RESERVED_BYTES):
        site.ledger.reserve(str(number), "127.0.0.1")
    response = await refused(site)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "quota_exceeded"
    assert (await site.queue.stats()).total == 0
    site.ledger.reserve("another's", "192.0.2.1")


async def test_all_clients_over_the_total_get_503(site: Site) -> None:
    for number in range(WEB_TASKS):
        site.ledger.reserve(str(number), f"client-{number}")
        site.ledger.correct(str(number), 0)
    response = await refused(site)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "60")
    assert response.json()["code"] == "quota_exceeded"


async def test_a_browser_over_its_quota_gets_a_page(site: Site) -> None:
    for number in range(WEB_TASK_BYTES // 4 // RESERVED_BYTES):
        site.ledger.reserve(str(number), "127.0.0.1")
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        response = await client.post("/resources/grid/tasks", data={}, headers=PAGE)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
    assert "Please try again in 60 seconds" in response.text


async def test_the_sweep_corrects_the_size_of_a_result_and_releases_it_when_it_is_deleted(site: Site) -> None:
    task_id = await submit(site)
    result = done(task_id)
    await settle(site, task_id, result)
    assert site.ledger.used_bytes == RESERVED_BYTES
    await site.web_tasks.sweep()
    assert site.ledger.used_bytes == len(encode_result(result))
    site.web_tasks._keep = 0
    found = await site.queue.get(f"{task_id}-result")
    assert found is not None
    await site.queue.release(found.task)
    await site.web_tasks.sweep()
    assert site.ledger.used_bytes == 0


async def test_a_document_in_the_store_counts_with_the_largest_size(site: Site) -> None:
    task_id = await submit(site)
    await settle(site, task_id, linked(task_id, "https://files.example.org/x.pdf"))
    await get(site, f"/tasks/{task_id}")
    assert 1024 * 1024 < site.ledger.used_bytes <= RESERVED_BYTES


async def test_overdue_tasks_are_deleted_although_no_worker_runs(site: Site) -> None:
    await submit(site)
    site.now = 2 * KEEP_SECONDS + WORK_SECONDS
    assert await site.web_tasks.sweep() == 1
    assert ((await site.queue.stats()).total, site.ledger.used_bytes) == (0, 0)


@pytest.mark.parametrize("inserted", [False, True])
async def test_a_task_whose_insertion_failed_counts_until_it_is_known_whether_it_is_on_the_queue(
    site: Site, inserted: bool
) -> None:
    insert = site.queue.insert

    async def fail(task_id: str, payload: str, tag: str) -> None:
        if inserted:
            await insert(task_id, payload, tag)
        raise QueueUnavailableError("the response was lost")

    site.queue.insert = fail  # type: ignore[method-assign]
    assert (await refused(site)).status_code == 503
    assert site.ledger.used_bytes == RESERVED_BYTES
    await site.web_tasks.sweep()
    assert site.ledger.used_bytes == inserted * RESERVED_BYTES
