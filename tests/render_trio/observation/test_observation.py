"""A worker's log lines have the task's ID and durations; the labels of its metrics are bounded."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from trio.testing import MockClock

from render_trio.errors import RenderFailedError
from render_trio.observation.metrics import Metrics
from render_trio.observation.observer import Observers
from render_trio.observation.recent_activity import RecentActivity
from render_trio.queue.messages import encode_task
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.worker.limits import Limits
from resources.request import Request
from tests.render_trio.fakes import TASK, FakeHeartbeat, FakeQueue, FakeRenderer, storeless_worker, work_on_batch
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


NAME = "Ada Lovelace"


@pytest.mark.parametrize(
    ("values", "code", "shown"),
    [
        (TASK | {"paper_size": NAME}, "invalid_option", "paper_size is invalid; allowed: a4, letter"),
        (TASK | {"language": NAME}, "invalid_option", "language is invalid; allowed: "),
        (TASK | {"reply_tag": [NAME]}, "invalid_option", "reply_tag is invalid"),
        (TASK | {"kind": NAME}, "unknown_kind", "kind is invalid; allowed: 'task#render'"),
        ({"resource_view": NAME}, "unknown_resource", "resource_view is invalid; allowed: "),
        ({NAME: NAME}, "missing_option", "resource_view is missing"),
        (NAME, "not_an_object", "the payload is not a JSON object"),
    ],
)
async def test_a_rejected_value_is_in_the_result_but_neither_in_the_log_nor_on_the_status_page(
    values: Any, code: str, shown: str, autojump_clock: MockClock
) -> None:
    queue, activity = FakeQueue(), RecentActivity()
    worker = storeless_worker(queue, FakeRenderer().make, Limits(20, 50, 1.33, 5, 2), Observers(activity))
    if isinstance(values, dict):
        queue.add("one", payload=encode_task(values))
    else:
        queue.add("one", payload=base64.b64encode(json.dumps(values).encode()).decode())
    with structlog.testing.capture_logs() as lines:
        await work_on_batch(worker, FakeHeartbeat())
    (line,), (note,) = lines, activity.failures()
    assert (line["code"], note.code) == (code, code)
    for text in (line["error"], note.reason):
        assert text.startswith(shown)
        assert "Ada" not in text
    if code != "missing_option":
        assert "Ada" in queue.results["one"].error.message


async def test_the_message_of_an_exception_in_drawing_is_in_the_result_but_not_in_the_log() -> None:
    """The message of any exception may quote the header."""
    queue, activity = FakeQueue(), RecentActivity()

    def draw(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
        raise ValueError(f"no room for {request.header_text}")

    offload = ThreadOffload(Metrics(), 1, 1, draw)
    worker = storeless_worker(queue, offload.make, Limits(20, 50, 1.33, 1, 2), Observers(activity))
    queue.add("one", TASK | {"header_text": NAME})
    with structlog.testing.capture_logs() as lines:
        await work_on_batch(worker, FakeHeartbeat())
    (line,), (note,) = lines, activity.failures()
    assert queue.results["one"].error.message == f"ValueError: no room for {NAME}"
    assert line["error"] == note.reason
    assert note.reason.startswith("ValueError in draw (test_observation.py:")
