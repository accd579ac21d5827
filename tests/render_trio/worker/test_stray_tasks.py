"""Tasks that no worker will ever lease are reported."""

from __future__ import annotations

import itertools
from pathlib import Path

import structlog
import trio
from trio.testing import MockClock

from emulator.server.serving import serve
from emulator.settings import EmulatorSettings
from render_trio.errors import QueueUnavailableError
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.worker.stray_tasks import watch_stray_tasks


async def test_tasks_without_a_tag_are_reported_once(tmp_path: Path) -> None:
    counts: list[int] = []
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'q'}"))
        queue = TaskQueue(address, "p", "q", timeout=5)
        gone = TaskQueue("http://127.0.0.1:9", "p", "q", timeout=5)
        await queue.insert("right", "eA==", "task")
        await queue.insert("web-right", "eA==", "web-task")
        for name in ("forgotten-2", "forgotten-1"):
            await queue.insert(name, "eA==", "")
        with structlog.testing.capture_logs() as events, trio.fail_after(20):
            async with trio.open_nursery() as watching:
                watching.start_soon(lambda: watch_stray_tasks(queue, counts.append, seconds=0.01))
                watching.start_soon(lambda: watch_stray_tasks(gone, counts.append, seconds=0.01))
                while len(counts) < 3:  # noqa: ASYNC110 - real time
                    await trio.sleep(0.01)
                await queue.delete("forgotten-1")
                await queue.delete("forgotten-2")
                while counts[-1]:  # noqa: ASYNC110 - real time
                    await trio.sleep(0.01)
                watching.cancel_scope.cancel()
        await queue.aclose()
        await gone.aclose()
        nursery.cancel_scope.cancel()
    assert counts[:3] == [2, 2, 2]
    assert [(event["log_level"], event["tasks"], event["example"]) for event in events][:1] == [
        ("warning", 2, "forgotten-1")
    ]


class ListedTasks:
    """A queue whose tasks without a tag are `strays`, or that fails if it is None."""

    def __init__(self) -> None:
        self.strays: list[str] | None = []
        self.moments: list[float] = []

    async def tags(self) -> dict[str, str]:
        await trio.lowlevel.checkpoint()
        self.moments.append(trio.current_time())
        if self.strays is None:
            raise QueueUnavailableError("down")
        return {"right": "task", **dict.fromkeys(self.strays, "")}


async def test_a_warning_is_logged_when_their_number_changes_and_not_for_an_outage(autojump_clock: MockClock) -> None:
    queue, counts = ListedTasks(), list[int]()
    with structlog.testing.capture_logs() as events:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_stray_tasks, queue, counts.append)
            await trio.sleep(30)  # halfway between two checks
            for queue.strays in (["b", "a"], ["b", "a"], None, ["b", "a"], ["a"], [], ["a"]):
                await trio.sleep(60)
            nursery.cancel_scope.cancel()
    assert counts == [0, 2, 2, 2, 1, 0, 1]
    assert [(event["tasks"], event["example"]) for event in events] == [(2, "a"), (1, "a"), (1, "a")]
    assert [later - earlier for earlier, later in itertools.pairwise(queue.moments)] == [60] * 7
