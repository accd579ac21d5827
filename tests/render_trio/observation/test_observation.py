"""A worker's log lines have the task's ID and durations; the labels of its metrics are bounded."""

from __future__ import annotations

import json
from typing import Any

import structlog
from trio.testing import MockClock

from render_trio.errors import RenderFailedError
from tests.render_trio.fakes import TASK, FakeRenderer
from tests.render_trio.worker.test_worker import Bench


async def test_log_lines_of_a_task_have_its_id_attempt_and_durations(autojump_clock: MockClock) -> None:
    bench = Bench(FakeRenderer(seconds=3))
    bench.renderer.faults = [RenderFailedError("once")]
    bench.queue.add("one")
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars, freeze]) as lines:
        await bench.run_for(10)
    failed, done = lines
    assert (failed["task"], failed["attempt"], failed["code"]) == ("one", 1, "render_failed")
    assert failed["seconds"] == {"render": 3.0}
    assert (done["task"], done["attempt"], done["event"], done["resource"]) == ("one", 2, "task done", "binary_cards")
    assert done["seconds"] == {"render": 3.0, "deliver": 0.0, "settle": 0.0}
    text = bench.metrics.exposition().decode()
    assert "render_retries_total 1.0" in text
    assert 'render_stage_seconds_count{stage="render"} 2.0' in text
    assert 'render_stage_seconds_count{stage="settle"} 1.0' in text
    assert 'render_tasks_total{outcome="retried",resource="binary_cards"} 1.0' in text
    assert "render_in_flight 0.0" in text


def freeze(logger: object, name: str, line: Any) -> Any:
    """Copy the line as a log renderer would, before its durations change."""
    return json.loads(json.dumps(line))


async def test_labels_are_bounded_by_the_catalogue(autojump_clock: MockClock) -> None:
    """A producer can't make the metrics grow."""
    bench = Bench()
    for number in range(5):
        bench.queue.add(f"bad-{number}", TASK | {"resource_view": f"made-up-{number}"})
    await bench.run_for(5)
    text = bench.metrics.exposition().decode()
    assert "made-up" not in text
    assert 'render_tasks_total{outcome="rejected",resource="unknown"} 5.0' in text
