"""The status page: its content, its event streams, and the protected restart of a worker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import trio

from emulator.server.serving import serve as serve_queue
from emulator.settings import EmulatorSettings
from render_trio.web.operations.bar_chart import HEIGHT, bar_chart
from render_trio.web.operations.status_page import duration, span
from tests.render_trio.web.operated import MAX_LISTENERS, PER_CLIENT, Site, get, running
from tests.render_trio.web.server.listening import listening

TOKEN = "correct-horse-battery"
PAGE = {"Accept": "text/html"}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running(Site(token=TOKEN)) as site:
        yield site


async def restart(site: Site, worker: str = "worker-1", token: str = TOKEN, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        return await client.post("/status/restart", data={"worker": worker, "token": token}, headers=headers)


async def test_the_status_shows_workers_rates_durations_and_failures(site: Site) -> None:
    site.activity.rendered("grid", "done")
    site.activity.stage("render", 0.012)
    site.activity.failure("task-1", "timed_out", "not drawn within 50 s", "retried")
    status = (await get(site, "/status")).json()
    assert [worker["name"] for worker in status["health"]["workers"]] == ["worker-1", "worker-2"]
    assert status["minutes"][-1] == 1
    assert status["stages"][0]["longest"] == 0.012
    assert status["failures"][0]["reason"] == "not drawn within 50 s"
    page = (await get(site, "/status", **PAGE)).text
    for text in ("worker-2", "12.0 ms", "timed_out: not drawn within 50 s", "at most 1 in one minute"):
        assert text in page


async def test_an_unreachable_queue_is_reported(site: Site) -> None:
    status = (await get(site, "/status")).json()
    assert status["queue"] is None
    assert "does not answer" in status["queue_error"]
    assert "unreachable" in (await get(site, "/status", **PAGE)).text


async def test_simultaneous_requests_share_one_request_to_the_queue(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        settings = EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'queue.sqlite3'}")
        async with running(Site(await nursery.start(serve_queue, settings))) as site:
            await site.queue.insert("one", "e30=", "task")
            requests = []
            stats = site.queue.stats
            site.status_source._queue_stats = lambda: requests.append(1) or stats()
            async with trio.open_nursery() as clients:
                for _ in range(10):
                    clients.start_soon(get, site, "/status")
            status = (await get(site, "/status")).json()
            assert (status["queue"]["total"], len(requests)) == (1, 1)
            assert status["queue"]["oldest_seconds"] < 60
        nursery.cancel_scope.cancel()


async def test_texts_from_outside_are_shortened_and_escaped(site: Site) -> None:
    site.activity.failure("<script>1</script>", "x", "<script>alert(1)</script>\x00\u202e" + "y" * 10_000, "failed")
    site.supervisor.slots[0].last_error = "<script>alert(2)</script>" + "z" * 10_000
    page = (await get(site, "/status", **PAGE)).text
    assert "<script>a" not in page
    assert "<script>1" not in page
    assert "\x00" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert max(len(line) for line in page.splitlines()) < 1000


async def test_events_report_changes_and_end_when_the_service_drains(site: Site) -> None:
    async with listening(site.address, "/status/events") as listener:
        await listener.until('<dd id="last-hour">0</dd>')
        site.activity.rendered("grid", "done")
        await listener.until('<dd id="last-hour">1</dd>')
        site.supervisor.stop()
        assert "Draining" in await listener.rest()
    assert (await get(site, "/status/events")).status_code == 503


async def test_a_head_request_opens_no_stream(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        for _ in range(MAX_LISTENERS + 1):
            response = await client.head("/status/events")
            assert (response.status_code, response.headers["Content-Type"]) == (200, "text/event-stream")
    assert site.listeners.count == 0


async def test_listeners_beyond_the_limit_get_retry_after_and_closed_streams_are_not_counted(site: Site) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(PER_CLIENT):
            listener = await stack.enter_async_context(listening(site.address, "/status/events"))
            await listener.until("event: page")
        refused = await get(site, "/status/events")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        assert refused.json()["code"] == "quota_exceeded"
    with trio.fail_after(10):
        while site.listeners.count:  # noqa: ASYNC110 - a real server, in real time
            await trio.sleep(0.01)
    async with listening(site.address, "/status/events") as listener:
        await listener.until("event: page")


async def test_a_worker_is_restarted_with_the_token(site: Site) -> None:
    response = await restart(site)
    assert (response.status_code, response.headers["Location"]) == (303, "/status?restarted=worker-1")
    with trio.fail_after(10):
        while site.supervisor.slots[0].restarts == 0:  # noqa: ASYNC110 - real time, a real server
            await trio.sleep(0.01)
    page = (await get(site, "/status?restarted=worker-1", **PAGE)).text
    assert "Restarting worker-1." in page
    assert "restarted by the operator" in page
    assert "Restarting" not in (await get(site, "/status?restarted=<b>you</b>", **PAGE)).text


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"token": "wrong"}, 403, "wrong_token"),
        ({"token": ""}, 403, "wrong_token"),
        ({"token": TOKEN + "ü"}, 403, "wrong_token"),
        ({"worker": "worker-9"}, 404, "unknown_worker"),
        ({"Origin": "https://example.org"}, 403, "other_origin"),
        ({"Origin": "null"}, 403, "other_origin"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "other_origin"),
    ],
)
async def test_no_other_request_restarts_a_worker(site: Site, changed: dict[str, str], status: int, code: str) -> None:
    response = await restart(site, **changed)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert site.supervisor.slots[0].restarts == 0


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Sec-Fetch-Site": "none"}])
async def test_our_own_page_can_restart_a_worker(site: Site, headers: dict[str, str]) -> None:
    assert (await restart(site, **headers)).status_code == 303


async def test_a_wrong_token_in_the_form_shows_the_page_again(site: Site) -> None:
    response = await restart(site, token="wrong", **PAGE)
    assert response.status_code == 403
    assert "No worker was restarted" in response.text


async def test_without_a_token_there_is_no_form_and_no_restart() -> None:
    async with running(Site()) as site:
        assert (await restart(site, token="")).json()["code"] == "no_token"
        assert "<button" not in (await get(site, "/status", **PAGE)).text
        assert site.supervisor.slots[0].restarts == 0


def test_bars_are_proportional_to_their_counts() -> None:
    heights = [float(height) for height in re.findall(r"v-([0-9.]+)h", bar_chart([1, 0, 2, 4]))]
    assert heights == [HEIGHT / 4, HEIGHT / 2, HEIGHT]
    assert bar_chart([0] * 60) == ""
    assert bar_chart([]) == ""


def test_durations_have_a_suitable_unit() -> None:
    assert [duration(seconds) for seconds in (0.00071, 0.0141, 0.9994, 10.8076)] == [
        "0.7 ms",
        "14.1 ms",
        "999.4 ms",
        "10.81 s",
    ]


def test_spans_become_coarser_with_length() -> None:
    assert [span(seconds) for seconds in (0.4, 7.2, 47, 61, 3599, 7300)] == [
        "under 1 s", "7 s", "40 s", "1 min", "59 min", "2 h 1 min",
    ]  # fmt: skip
