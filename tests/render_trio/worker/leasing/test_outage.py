"""How often an outage of the queue is logged."""

from __future__ import annotations

import itertools

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from render_trio.errors import QueueUnavailableError
from render_trio.worker.leasing.outage import BackOff, OutageLog

DOWN = QueueUnavailableError("down")


async def moments(log: OutageLog, seconds: float, interval: float = 1.0) -> list[float]:
    """Let a request fail every `interval` s; return the times of the log lines."""
    found, began = [], trio.current_time()
    while trio.current_time() < began + seconds:
        with capture_logs() as lines:
            log.failed(DOWN, 0)
        if lines:
            found.append(trio.current_time() - began)
        await trio.sleep(interval)
    return found


async def test_an_outage_is_logged_at_once_then_at_growing_intervals_and_when_it_is_over(
    autojump_clock: MockClock,
) -> None:
    log = OutageLog()
    times = await moments(log, 4000)
    assert times == pytest.approx([0, 2, 6, 14, 30, 62, 126, 254, 510, 1022, 1622, 2222, 2822, 3422])
    with capture_logs() as lines:
        log.reached()
        log.reached()
    assert [(line["event"], line["seconds"]) for line in lines] == [("queue reached again", pytest.approx(4000))]


async def test_an_outage_that_follows_a_minute_without_failures_is_logged_at_once(autojump_clock: MockClock) -> None:
    log = OutageLog()
    await moments(log, 4000)
    log.reached()
    await trio.sleep(60)
    assert await moments(log, 3) == pytest.approx([0, 2])


async def test_a_queue_that_fails_and_answers_in_turns_does_not_fill_the_log(autojump_clock: MockClock) -> None:
    log = OutageLog()
    with capture_logs() as lines:
        for _ in range(1800):
            log.failed(DOWN, 0)
            await trio.sleep(1)
            log.reached()
            await trio.sleep(1)
    assert len(lines) < 30


async def test_a_log_line_counts_the_failures_since_the_last(autojump_clock: MockClock) -> None:
    log = OutageLog()
    with capture_logs() as lines:
        for _ in range(8):
            log.failed(DOWN, 3.0)
            await trio.sleep(1)
    assert [(line["failures"], line["pause"], line["error"]) for line in lines] == [
        (1, 3.0, "down"),
        (2, 3.0, "down"),
        (4, 3.0, "down"),
    ]


async def test_requests_that_fail_together_count_as_one_failure(autojump_clock: MockClock) -> None:
    back_off = BackOff(trio.Event(), max, OutageLog())
    pauses = []
    for _ in range(4):
        async with back_off.permission() as permitted:
            assert permitted
            sent_at = trio.current_time()
            await trio.sleep(1)
            back_off.failed(DOWN, sent_at)
            back_off.failed(DOWN, sent_at)
            pauses.append(trio.current_time())
    assert [later - earlier - 1 for earlier, later in itertools.pairwise(pauses)] == pytest.approx([0.2, 0.4, 0.8])


async def test_one_request_at_a_time_tries_an_unreachable_queue(autojump_clock: MockClock) -> None:
    back_off = BackOff(trio.Event(), max, OutageLog())
    permissions: list[bool] = []

    async def request(answered: bool) -> None:
        async with back_off.permission() as permitted:
            permissions.append(permitted)
            if not permitted:
                return
            sent_at = trio.current_time()
            await trio.sleep(1)
            if answered:
                back_off.reached()
            else:
                back_off.failed(DOWN, sent_at)

    for answered in (False, True):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(request, answered)
    assert permissions == [True, False, False, True, True, True]
