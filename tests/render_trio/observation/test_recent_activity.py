"""The journal: bounded, rolling, and told of every failure by the worker."""

from __future__ import annotations

from render_trio.errors import RenderFailedError
from render_trio.observation.metrics import Metrics
from render_trio.observation.observer import Observer, Observers
from render_trio.observation.recent_activity import FAILURES, MAX_STAGES, REASON_CHARACTERS, SAMPLES, RecentActivity
from render_trio.worker.limits import Limits
from render_trio.worker.worker import Worker
from tests.render_trio.fakes import FakeHeartbeat, FakeQueue, FakeRenderer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_documents_are_counted_by_the_minute_and_forgotten_after_an_hour() -> None:
    clock = Clock()
    journal = RecentActivity(clock)
    for _ in range(3):
        journal.rendered("grid", "done")
    journal.rendered("grid", "failed")
    assert journal.minutes()[-2:] == (0, 3)
    clock.now += 61
    journal.rendered("grid", "done")
    assert journal.minutes()[-3:] == (0, 3, 1)
    clock.now += 3600 - 61
    assert sum(journal.minutes()) == 1
    clock.now += 62
    assert sum(journal.minutes()) == 0
    clock.now += 1e6
    journal.rendered("grid", "done")
    assert journal.minutes() == (*[0] * 59, 1)


def test_times_are_those_of_the_latest_runs() -> None:
    journal = RecentActivity()
    assert journal.stages() == ()
    journal.stage("render", 99.0)
    for milliseconds in range(1, SAMPLES + 1):
        journal.stage("render", milliseconds / 1000)
    journal.stage("settle", 0.5)
    journal.queue_wait(-0.1)  # the queue's clock is not ours
    render, settle, wait = journal.stages()
    assert (wait.name, wait.longest) == ("wait in the queue", 0.0)
    assert (render.name, render.count, render.longest) == ("render", SAMPLES, SAMPLES / 1000)
    assert abs(render.middle - SAMPLES / 2000) < 0.002
    assert abs(render.high - SAMPLES * 0.95 / 1000) < 0.002
    assert (settle.middle, settle.high, settle.longest, settle.count) == (0.5, 0.5, 0.5, 1)


def test_nothing_in_it_grows_without_bound() -> None:
    journal = RecentActivity()
    for number in range(1000):
        journal.failure(f"task-{number}" * 100, "c" * 1000, "first\nsecond\u202e " + "x" * 100_000, "failed")
        journal.stage(f"stage-{number}", 0.1)
    failures = journal.failures()
    assert len(failures) == FAILURES
    assert failures[0].task == "task-999…task-999"
    assert all(len(note.reason) <= REASON_CHARACTERS and note.reason.isprintable() for note in failures)
    assert len(journal.stages()) == MAX_STAGES


def test_a_web_task_s_document_can_not_be_opened_with_what_is_shown_of_its_id() -> None:
    journal, task_id = RecentActivity(), "web-" + "0123456789abcdef" * 2
    journal.failure(task_id, "timed_out", "not drawn within 50 s", "retried")
    assert journal.failures()[0].task == "web-0123…89abcdef"


async def test_a_worker_tells_every_failed_attempt_with_its_outcome(autojump_clock: object) -> None:
    import trio

    queue, renderer, journal = FakeQueue(), FakeRenderer(), RecentActivity(date=lambda: 7.0)
    limits = Limits(20, 50, 1.33, 5, 2)

    async def deliver(pdf: bytes, sha256: str) -> str | None:
        raise AssertionError("nothing is delivered here")

    worker = Worker(queue, renderer.make, deliver, limits, Observers(Metrics(), journal), trio.Event())
    queue.add("bad", {"resource_view": "laundry"})
    await worker.iterate(FakeHeartbeat())
    renderer.faults.append(RenderFailedError("no ink"))
    queue.add("unlucky")
    await worker.iterate(FakeHeartbeat())
    told = [(note.at, note.task, note.code, note.outcome) for note in journal.failures()]
    assert told == [(7.0, "unlucky", "render_failed", "retried"), (7.0, "bad", "unknown_resource", "rejected")]


def test_several_observers_hear_the_same() -> None:
    heard: list[tuple[object, ...]] = []

    class Ear(Observer):
        """Hears everything that an observer can be told."""

    verbs = [name for name in vars(Observer) if not name.startswith("_")]
    for name in verbs:
        setattr(Ear, name, lambda self, *told, name=name: heard.append((name, *told)))
    both = Observers(Ear(), Ear())
    for name in verbs:
        code = vars(Observer)[name].__code__
        getattr(both, name)(*range(code.co_argcount - 1))
    assert [entry[0] for entry in heard] == [name for name in verbs for _ in range(2)]
    assert all(heard[2 * i] == heard[2 * i + 1] for i in range(len(verbs)))
