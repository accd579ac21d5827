"""The service drains and returns on request, and forces an exit only through the function that it is given."""

from __future__ import annotations

import functools

import trio
from structlog.testing import capture_logs

from render_trio.observation.metrics import Metrics
from render_trio.service import composition, service
from render_trio.service.shutdown import EXIT_CLEAN, EXIT_FATAL
from render_trio.settings.settings import Settings

UNREACHABLE = "http://127.0.0.1:1"  # nothing listens there: workers wait and try again


async def run_and_shut_down(settings: Settings, **options: service.HardExit) -> None:
    shutdown_requested = trio.Event()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            run = functools.partial(service.run, settings, shutdown_requested=shutdown_requested, **options)
            await nursery.start(run)
            shutdown_requested.set()


async def test_a_requested_shutdown_drains_and_starts_the_exit_timer_for_the_web_server() -> None:
    exits: list[tuple[float, int]] = []
    with capture_logs() as lines:
        await run_and_shut_down(
            Settings(port=0, queue_url=UNREACHABLE, render_workers=1),
            hard_exit=lambda seconds, code: exits.append((seconds, code)),
        )
    assert exits == [(service.WEB_SECONDS, EXIT_CLEAN)]
    events = [line["event"] for line in lines if line["event"] in ("started", "draining", "stopped")]
    assert events == ["started", "draining", "stopped"]


async def test_an_embedded_service_never_exits_the_process() -> None:
    await run_and_shut_down(Settings(port=0, queue_url=UNREACHABLE, render_workers=1))


async def test_an_unrecoverable_failure_starts_the_exit_timer() -> None:
    exits: list[tuple[float, int]] = []
    settings, metrics = Settings(shutdown_seconds=7), Metrics()
    async with (
        composition.open_offload(settings, metrics) as offload,
        composition.open_on_demand_renderer(settings, offload, metrics) as on_demand,
        composition.open_queue(settings) as queue,
    ):
        failing = service.Service(
            settings, offload, on_demand, metrics, queue, lambda seconds, code: exits.append((seconds, code))
        )
        with capture_logs() as lines:
            failing.give_up("nothing helps")
    assert exits == [(7, EXIT_FATAL)]
    assert [(line["event"], line["reason"]) for line in lines] == [("unrecoverable failure", "nothing helps")]


async def test_notices_are_logged_when_the_service_starts() -> None:
    settings = Settings(port=0, queue_url=UNREACHABLE, render_workers=1, notices=("WEB_SHELF is now WEB_CACHE",))
    with capture_logs() as lines:
        await run_and_shut_down(settings)
    notices = [line["notice"] for line in lines if line["event"] == "check the settings"]
    assert notices == ["WEB_SHELF is now WEB_CACHE"]
