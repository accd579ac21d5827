"""Recent activity is bounded, forgets after an hour, and contains every failed attempt."""

from __future__ import annotations

from render_trio.errors import RenderFailedError
from render_trio.observation.metrics import Metrics
from render_trio.observation.observer import Observer, Observers
from render_trio.observation.recent_activity import FAILURES, MAX_STAGES, REASON_CHARACTERS, SAMPLES, RecentActivity
from render_trio.worker.limits import Limits
from tests.render_trio.fakes import FakeHeartbeat, FakeQueue, FakeRenderer, storeless_worker, work_on_batch


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_documents_are_counted_per_minute_and_forgotten_after_an_hour() -> None:
    clock = Clock()
    activity = RecentActivity(clock)
    for _ in range(3):
        activity.rendered("grid", "done")
    activity.rendered("grid", "failed")
    assert activity.minutes()[-2:] == (0, 3)
    clock.now += 61
    activity.rendered("grid", "done")
    assert activity.minutes()[-3:] == (0, 3, 1)
    clock.now += 3600 - 61
    assert sum(activity.minutes()) == 1
    clock.now += 62
    assert sum(activity.minutes()) == 0
    clock.now += 1e6
    activity.rendered("grid", "done")
    assert activity.minutes() == (*[0] * 59, 1)


def test_stage_times_are_those_of_the_latest_runs() -> None:
    activity = RecentActivity()
    assert activity.stages() == ()
    activity.stage("render", 99.0)
    for milliseconds in range(1, SAMPLES + 1):
        activity.stage("render", milliseconds / 1000)
    activity.stage("settle", 0.5)
    activity.queue_wait(-0.1)  # the queue's clock may differ from this host's
    render, settle, wait = activity.stages()
    assert (wait.name, wait.longest) == ("wait in the queue", 0.0)
    assert (render.name, render.count, render.longest) == ("render", SAMPLES, SAMPLES / 1000)
    assert abs(render.middle - SAMPLES / 2000) < 0.002
    assert abs(render.high - SAMPLES * 0.95 / 1000) < 0.002
    assert (settle.middle, settle.high, settle.longest, settle.count) == (0.5, 0.5, 0.5, 1)


def test_nothing_grows_without_bound() -> None:
    activity = RecentActivity()
    for number in range(1000):
        activity.failure(f"task-{number}" * 100, "c" * 1000, "first\nsecond\u202e " + "x" * 100_000, "failed")
        activity.stage(f"stage-{number}", 0.1)
    failures = activity.failures()
    assert len(failures) == FAILURES
    assert failures[0].task == "task-999…task-999"
    assert all(len(note.reason) <= REASON_CHARACTERS and note.reason.isprintable() for note in failures)
    assert len(activity.stages()) == MAX_STAGES


def test_the_abridged_id_of_a_web_task_gives_no_access_to_its_document() -> None:
    activity, task_id = RecentActivity(), "web-" + "0123456789abcdef" * 2
    activity.failure(task_id, "timed_out", "not drawn within 50 s", "retried")
    assert activity.failures()[0].task == "web-0123…89abcdef"


async def test_a_worker_reports_every_failed_attempt_with_its_outcome(autojump_clock: object) -> None:
    queue, renderer, activity = FakeQueue(), FakeRenderer(), RecentActivity(date=lambda: 7.0)
    limits = Limits(20, 50, 1.33, 5, 2)
    worker = storeless_worker(queue, renderer.make, limits, Observers(Metrics(), activity))
    queue.add("bad", {"resource_view": "laundry"})
    await work_on_batch(worker, FakeHeartbeat())
    renderer.faults.append(RenderFailedError("no ink"))
    queue.add("unlucky")
    await work_on_batch(worker, FakeHeartbeat())
    notes = [(note.at, note.task, note.code, note.outcome) for note in activity.failures()]
    assert notes == [(7.0, "unlucky", "render_failed", "retried"), (7.0, "bad", "unknown_resource", "rejected")]


def test_observers_forward_every_event_to_each_observer() -> None:
    received: list[tuple[object, ...]] = []

    class Recorder(Observer):
        """Records every event."""

    events = [name for name in vars(Observer) if not name.startswith("_")]
    for name in events:
        setattr(Recorder, name, lambda self, *values, name=name: received.append((name, *values)))
    both = Observers(Recorder(), Recorder())
    for name in events:
        code = vars(Observer)[name].__code__
        getattr(both, name)(*range(code.co_argcount - 1))
    assert [entry[0] for entry in received] == [name for name in events for _ in range(2)]
    assert all(received[2 * i] == received[2 * i + 1] for i in range(len(events)))
