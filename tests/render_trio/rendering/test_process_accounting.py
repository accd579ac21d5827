"""How a drawing process that did not return a document is reported and counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio_parallel
from trio.testing import MockClock

from render_trio.errors import FatalError, RenderCrashedError, RenderTimedOutError
from render_trio.observation.metrics import Metrics
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload import process
from render_trio.rendering.offload.child import EXIT_MEMORY
from render_trio.rendering.offload.process import START_RETRY_SECONDS, ProcessOffload
from resources.request import Request
from tests.requests import request_for

REQUEST = request_for("parity_cards")
DOCUMENT = FinishedDocument("x", b"", 1, "")
NO_PROCESS = BlockingIOError(11, "Resource temporarily unavailable")


class Context:
    """Stands in for trio-parallel: each step is an exception, a result, or a duration in s."""

    def __init__(self, *steps: Exception | FinishedDocument | float) -> None:
        self.steps = list(steps)
        self.calls: list[float] = []
        self.options: dict[str, Any] = {}

    async def run_sync(self, *arguments: object, **options: Any) -> object:
        self.calls.append(trio.current_time())
        self.options = options
        await trio.lowlevel.checkpoint()
        step = self.steps.pop(0)
        if isinstance(step, float):
            await trio.sleep(step)
            step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture(autouse=True)
def no_fork_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.forkserver, "ensure_running", lambda: None)


def offload_of(context: Context, metrics: Metrics, workers: int = 1) -> ProcessOffload:
    return ProcessOffload(context, metrics, workers)  # type: ignore[arg-type]  # a stand-in


def killed(metrics: Metrics) -> float:
    (line,) = [one for one in metrics.exposition().splitlines() if one.startswith(b"render_killed_processes_total ")]
    return float(line.split()[1])


async def test_a_shortage_of_processes_that_is_over_does_not_make_a_time_out_fatal(autojump_clock: MockClock) -> None:
    metrics = Metrics()
    with pytest.raises(RenderTimedOutError, match="not drawn within 30 s"):
        await offload_of(Context(NO_PROCESS, 1000.0), metrics).make(REQUEST, 30)
    assert killed(metrics) == 1


async def test_a_shortage_in_one_render_is_not_remembered_in_the_next(autojump_clock: MockClock) -> None:
    offload = offload_of(Context(*[NO_PROCESS] * 30, 1000.0), Metrics())
    with pytest.raises(FatalError, match=r"for 20 s: .*temporarily unavailable"):
        await offload.make(REQUEST, 20)
    with pytest.raises(RenderTimedOutError):
        await offload.make(REQUEST, 40)


async def test_a_process_is_started_again_after_a_pause(autojump_clock: MockClock) -> None:
    context, metrics = Context(NO_PROCESS, NO_PROCESS, DOCUMENT), Metrics()
    assert await offload_of(context, metrics).make(REQUEST, 30) == DOCUMENT
    assert [call - context.calls[0] for call in context.calls] == pytest.approx(
        [0, START_RETRY_SECONDS, 2 * START_RETRY_SECONDS], abs=0.01
    )
    assert killed(metrics) == 0


@pytest.mark.parametrize(("seconds", "times_out"), [(29.0, False), (31.0, True)])
async def test_a_render_may_take_its_time_limit_and_no_longer(
    seconds: float, times_out: bool, autojump_clock: MockClock
) -> None:
    metrics = Metrics()
    offload = offload_of(Context(seconds, DOCUMENT), metrics)
    if times_out:
        with pytest.raises(RenderTimedOutError):
            await offload.make(REQUEST, 30)
    else:
        assert await offload.make(REQUEST, 30) == DOCUMENT
    assert killed(metrics) == int(times_out)


async def test_a_cancelled_render_is_killed_and_counted(autojump_clock: MockClock) -> None:
    context, metrics = Context(1000.0), Metrics()
    with trio.move_on_after(5) as scope:
        await offload_of(context, metrics).make(REQUEST, 30)
    assert scope.cancelled_caught
    assert killed(metrics) == 1
    assert context.options["kill_on_cancel"]


@pytest.mark.parametrize(
    ("exit_code", "reason"),
    [
        (EXIT_MEMORY, "its memory limit was reached"),
        (-9, "signal SIGKILL"),
        (-11, "signal SIGSEGV"),
        (3, "exit code 3"),
        (-250, "exit code -250"),
        (None, "exit code None"),
    ],
)
async def test_the_death_of_a_process_is_counted_and_its_cause_is_named(
    exit_code: int | None, reason: str, autojump_clock: MockClock
) -> None:
    metrics = Metrics()
    death = trio_parallel.BrokenWorkerError("died", SimpleNamespace(exitcode=exit_code))
    with pytest.raises(RenderCrashedError, match=f"the drawing process died: {reason}"):
        await offload_of(Context(death), metrics).make(REQUEST, 30)
    assert killed(metrics) == 1


async def test_the_death_of_an_unknown_process_has_no_exit_code(autojump_clock: MockClock) -> None:
    with pytest.raises(RenderCrashedError, match="exit code None"):
        await offload_of(Context(trio_parallel.BrokenWorkerError()), Metrics()).make(REQUEST, 30)


async def test_workers_do_not_wait_for_processes_that_can_not_be_killed(autojump_clock: MockClock) -> None:
    """Such a process keeps its token; the replacement of its worker needs another one."""
    context, metrics = Context(DOCUMENT, DOCUMENT), Metrics()
    offload = offload_of(context, metrics, workers=3)
    await offload.make(REQUEST, 30)
    limiter = context.options["limiter"]
    assert limiter.total_tokens >= 6
    other = offload.with_capacity(2)
    await other.make(REQUEST, 30)
    assert context.options["limiter"] is not limiter
    assert context.options["limiter"].total_tokens >= 4
    assert offload.abandoned == other.abandoned == 0


def draw_nothing(request: Request, checkpoint: object) -> FinishedDocument:
    return DOCUMENT


async def test_an_offload_with_its_own_capacity_draws_in_the_same_way(autojump_clock: MockClock) -> None:
    received: list[object] = []

    class Recording(Context):
        async def run_sync(self, *arguments: object, **options: Any) -> object:
            received.append(arguments[1:])
            return await super().run_sync(*arguments, **options)

    context = Recording(DOCUMENT)
    offload = ProcessOffload(context, Metrics(), 1, produce=draw_nothing)  # type: ignore[arg-type]  # a stand-in
    await offload.with_capacity(1).make(REQUEST, 30)
    assert received == [(draw_nothing, REQUEST, 30)]
