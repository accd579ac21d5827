"""The operator's page: what it tells, to whom it listens, and who may restart a worker."""

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
from render_trio.web.operations.bar_chart import HEIGHT, bars
from render_trio.web.operations.status_page import span, took
from tests.render_trio.web.operated import LISTENERS_MOST, Site, get, running
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


async def test_it_tells_of_workers_rates_times_and_failures(site: Site) -> None:
    site.journal.rendered("grid", "done")
    site.journal.stage("render", 0.012)
    site.journal.failure("task-1", "timed_out", "not drawn within 50 s", "retried")
    status = (await get(site, "/status")).json()
    assert [worker["name"] for worker in status["health"]["workers"]] == ["worker-1", "worker-2"]
    assert status["minutes"][-1] == 1
    assert status["stages"][0]["longest"] == 0.012
    assert status["failures"][0]["reason"] == "not drawn within 50 s"
    page = (await get(site, "/status", **PAGE)).text
    for told in ("worker-2", "12.0 ms", "timed_out: not drawn within 50 s", "at most 1 in one minute"):
        assert told in page


async def test_a_queue_that_does_not_answer_is_told(site: Site) -> None:
    status = (await get(site, "/status")).json()
    assert status["queue"] is None
    assert "does not answer" in status["queue_error"]
    assert "not reached" in (await get(site, "/status", **PAGE)).text


async def test_the_queue_is_asked_once_for_all_who_look(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        settings = EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'queue.sqlite3'}")
        async with running(Site(await nursery.start(serve_queue, settings))) as site:
            await site.queue.insert("one", "e30=", "task")
            asked = []
            stats = site.queue.stats
            site.board._queue_stats = lambda: asked.append(1) or stats()
            async with trio.open_nursery() as many:
                for _ in range(10):
                    many.start_soon(get, site, "/status")
            status = (await get(site, "/status")).json()
            assert (status["queue"]["total"], len(asked)) == (1, 1)
            assert status["queue"]["oldest_seconds"] < 60
        nursery.cancel_scope.cancel()


async def test_what_comes_from_outside_is_shortened_and_escaped(site: Site) -> None:
    site.journal.failure("<script>1</script>", "x", "<script>alert(1)</script>\x00\u202e" + "y" * 10_000, "failed")
    site.supervisor.slots[0].last_error = "<script>alert(2)</script>" + "z" * 10_000
    page = (await get(site, "/status", **PAGE)).text
    assert "<script>a" not in page
    assert "<script>1" not in page
    assert "\x00" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert max(len(line) for line in page.splitlines()) < 1000


async def test_events_follow_what_happens_and_say_a_last_word_when_the_service_drains(site: Site) -> None:
    async with listening(site.address, "/status/events") as listener:
        await listener.until('<dd id="last-hour">0</dd>')
        site.journal.rendered("grid", "done")
        await listener.until('<dd id="last-hour">1</dd>')
        site.supervisor.stop()
        assert "Draining" in await listener.rest()
    assert (await get(site, "/status/events")).status_code == 503


async def test_who_asks_for_the_head_alone_is_no_listener(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        for _ in range(LISTENERS_MOST + 1):
            response = await client.head("/status/events")
            assert (response.status_code, response.headers["Content-Type"]) == (200, "text/event-stream")
    assert site.listeners.count == 0


async def test_too_many_listeners_are_told_to_come_again_and_places_are_given_back(site: Site) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(LISTENERS_MOST):
            listener = await stack.enter_async_context(listening(site.address, "/status/events"))
            await listener.until("event: page")
        refused = await get(site, "/status/events")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert refused.json()["code"] == "too_many_listeners"
    with trio.fail_after(10):
        while site.listeners.count:  # noqa: ASYNC110 - the server notices by itself, in its own time
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
    assert "worker-1 is being restarted" in page
    assert "restarted by the operator" in page
    assert "is being restarted" not in (await get(site, "/status?restarted=<b>you</b>", **PAGE)).text


@pytest.mark.parametrize(
    ("asked", "status", "code"),
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
async def test_nobody_else_restarts_a_worker(site: Site, asked: dict[str, str], status: int, code: str) -> None:
    response = await restart(site, **asked)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert site.supervisor.slots[0].restarts == 0


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin", "Origin": "null"}, {"Sec-Fetch-Site": "none"}])
async def test_our_own_page_restarts_a_worker(site: Site, headers: dict[str, str]) -> None:
    assert (await restart(site, **headers)).status_code == 303


async def test_a_person_with_a_wrong_token_gets_the_page_again(site: Site) -> None:
    response = await restart(site, token="wrong", **PAGE)
    assert response.status_code == 403
    assert "nothing was restarted" in response.text


async def test_without_a_token_there_is_no_button_and_no_way() -> None:
    async with running(Site()) as site:
        assert (await restart(site, token="")).json()["code"] == "no_token"
        assert "<button" not in (await get(site, "/status", **PAGE)).text
        assert site.supervisor.slots[0].restarts == 0


def test_bars_are_as_high_as_their_counts() -> None:
    heights = [float(height) for height in re.findall(r"v-([0-9.]+)h", bars([1, 0, 2, 4]))]
    assert heights == [HEIGHT / 4, HEIGHT / 2, HEIGHT]
    assert bars([0] * 60) == ""
    assert bars([]) == ""


def test_measured_times_have_the_unit_that_suits_them() -> None:
    assert [took(seconds) for seconds in (0.00071, 0.0141, 0.9994, 10.8076)] == [
        "0.7 ms",
        "14.1 ms",
        "999.4 ms",
        "10.81 s",
    ]


def test_spans_are_said_as_people_do() -> None:
    assert [span(seconds) for seconds in (0.4, 7.2, 47, 61, 3599, 7300)] == [
        "under 1 s", "7 s", "40 s", "1 min", "59 min", "2 h 1 min",
    ]  # fmt: skip
