"""Tasks that no worker will ever lease are reported."""

from __future__ import annotations

from pathlib import Path

import structlog
import trio

from emulator.server.serving import serve
from emulator.settings import EmulatorSettings
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.worker.stray_tasks import watch_stray_tasks


async def test_tasks_without_a_tag_are_reported_once(tmp_path: Path) -> None:
    counts: list[int] = []
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'q'}"))
        queue = TaskQueue(address, "p", "q", timeout=5)
        gone = TaskQueue("http://127.0.0.1:9", "p", "q", timeout=5)
        await queue.insert("right", "eA==", "task")
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
