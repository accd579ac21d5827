"""Tasks from the web expire, have a limit on their size, and are stored in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
from trio.testing import MockClock

from render_trio.delivery.delivery import Delivery
from render_trio.delivery.directory import DirectoryStore
from render_trio.delivery.web_documents import WebDocuments
from render_trio.errors import UnavailableError
from render_trio.observation.observer import Observer
from render_trio.queue.messages import WEB_DOCUMENT_BYTES
from render_trio.rendering.finisher import FinishedDocument
from render_trio.worker.backlog import Backlog
from render_trio.worker.limits import Limits
from render_trio.worker.worker import Worker
from resources.request import Request
from tests.render_trio.fakes import FakeHeartbeat, FakeQueue
from tests.render_trio.worker.test_worker import Bench

LIMITS = Limits(20, 50, 1.33, 3, 2, web_seconds=3600)
DIGEST = "0" * 64


@pytest.mark.parametrize(("waited", "tag", "drawn"), [(3601, "web-task", 0), (3599, "web-task", 1), (9999, "task", 1)])
async def test_a_task_from_the_web_that_waited_for_too_long_expires_without_being_drawn(
    waited: int, tag: str, drawn: int, autojump_clock: MockClock
) -> None:
    bench = Bench(limits=LIMITS)
    bench.queue.add("web-1", tag=tag)
    lease_us = (waited + LIMITS.lease_seconds) * 1_000_000
    bench.queue.tasks["web-1"] = msgspec.structs.replace(bench.queue.tasks["web-1"], lease_us=lease_us)
    await bench.run_for(5)
    assert len(bench.renderer.limits) == drawn
    assert bench.queue.tasks == {}
    result = bench.result("web-1")
    if drawn:
        assert result.success
    else:
        assert result.error.code == "expired"  # type: ignore[union-attr]
        assert "submit it again" in result.error.message  # type: ignore[union-attr]
        assert bench.queue.result_tags == {"web-1": "web-result"}


def stored(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.pdf"))


async def work(folder: Path, size: int, tag: str, name: str) -> FakeQueue:
    """Return a queue after a worker has drawn a document of `size` bytes for a task."""

    async def make(request: Request, seconds: float) -> FinishedDocument:
        return FinishedDocument("x.pdf", b"x" * size, 1, DIGEST)

    store, stopping = DirectoryStore(folder, "https://files.example.org"), trio.Event()
    queue = FakeQueue()
    queue.add(name, tag=tag)
    backlog = Backlog(queue, Delivery(10, store, WebDocuments(store).folder), LIMITS, Observer(), stopping)
    worker = Worker(queue, make, backlog, LIMITS, Observer(), stopping)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.run, FakeHeartbeat())
            while name not in queue.results:  # noqa: ASYNC110 - files are written in threads, in real time
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    return queue


@pytest.mark.parametrize(("size", "fails"), [(WEB_DOCUMENT_BYTES, False), (WEB_DOCUMENT_BYTES + 1, True)])
async def test_a_document_for_the_web_that_is_too_large_fails(tmp_path: Path, size: int, fails: bool) -> None:
    queue = await work(tmp_path, size, "web-task", "web-1")
    assert queue.results["web-1"].success is not fails
    assert stored(tmp_path) == ([] if fails else [f"web/{DIGEST}.pdf"])
    assert (await work(tmp_path, size, "task", "task-1")).results["task-1"].kind == "result#link", "a producer's"


async def test_documents_for_the_web_have_a_folder_of_their_own(tmp_path: Path) -> None:
    queue = await work(tmp_path, 100, "web-task", "web-1")
    assert queue.results["web-1"].url == f"https://files.example.org/web/{DIGEST}.pdf"
    queue = await work(tmp_path, 100, "task", "task-1")
    assert queue.results["task-1"].url == f"https://files.example.org/{DIGEST}.pdf"
    assert stored(tmp_path) == [f"{DIGEST}.pdf", f"web/{DIGEST}.pdf"]
    store = DirectoryStore(tmp_path, "")
    assert WebDocuments(store).folder.sweep(1, now=4e9) == 1
    assert stored(tmp_path) == [f"{DIGEST}.pdf"], "a producer's document is kept for DOCUMENT_KEEP"


def test_a_document_is_read_from_both_folders(tmp_path: Path) -> None:
    """A service of version 0.1.0 stored documents of tasks from the web among those of producers."""
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing
    documents = WebDocuments(DirectoryStore(tmp_path, ""))
    assert documents.read(digest) is None
    (tmp_path / f"{digest}.pdf").write_bytes(b"")
    assert documents.read(digest) == b""
    (tmp_path / f"{digest}.pdf").unlink()
    documents.folder.put(b"", digest)
    assert documents.read(digest) == b""
    with pytest.raises(UnavailableError):
        WebDocuments(DirectoryStore(tmp_path / "gone", "")).read(digest)
