"""An outage of the document store delays results and has no other effect, with real processes and real faults."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from render_trio.worker.backlog import MAX_DOCUMENTS, OWN_FAILURES
from tests.acceptance.test_promises import PATIENCE, Stage, payload, stage
from tests.emulator.stores.sqlite.faulty import fill
from tests.processes import SERVICE, Running, queue
from tests.silent_file_system import SilentFileSystem
from tests.small_disk import mounted, remount

__all__ = ["stage"]

LARGE, SMALL = "binary_cards", "grid"  # about 15 KB and 9 KB; INLINE is between them
INLINE = "12 KiB"
TOKEN = "a-token-of-the-operator"
# Root may use every folder. Without these capabilities, it may not, like any other user.
RESTRICTED = (
    "-c",
    "import os, sys; os.execvp('setpriv', ['setpriv', '--bounding-set=-dac_override,-dac_read_search', "
    "sys.executable, '-m', 'render_trio', 'serve'])",
)


def refuse_writing(folder: Path) -> None:
    folder.chmod(0o555)


def allow_writing(folder: Path) -> None:
    folder.chmod(0o755)


def remount_read_only(folder: Path) -> None:
    remount(folder.parent, "ro")


def remount_writable(folder: Path) -> None:
    remount(folder.parent, "rw")


def fill_disk(folder: Path) -> None:
    fill(folder.parent)


def free_space(folder: Path) -> None:
    (folder.parent / "filler").unlink()


def replace_by_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_bytes(b"")


def make_folder_again(folder: Path) -> None:
    folder.unlink()
    folder.mkdir()


def lose_parent(folder: Path) -> None:
    """Delete the folder, and make it impossible to create it again."""
    folder.rmdir()
    remount_read_only(folder)


def hang(folder: Path) -> None:
    COVERS[folder] = SilentFileSystem(folder)


def die(folder: Path) -> None:
    """Let the folder's file system fail as after a crash of its process, such as gcsfuse."""
    hang(folder)
    COVERS[folder].die()


def uncover(folder: Path) -> None:
    COVERS.pop(folder).end()


COVERS: dict[Path, SilentFileSystem] = {}


@dataclass(frozen=True)
class Fault:
    """How to cause a fault of the folder and how to end it; what the health says about it."""

    begin: Callable[[Path], None]
    end: Callable[[Path], None]
    cause: str
    program: tuple[str, ...] = SERVICE


FAULTS = {
    "full disk": Fault(fill_disk, free_space, "[Errno 28] No space left on device: '{folder}'; free space there"),
    "read-only": Fault(
        remount_read_only, remount_writable, "[Errno 30] Read-only file system: '{folder}'; mount it writable"
    ),
    "replaced by a file": Fault(
        replace_by_file, make_folder_again, "[Errno 20] Not a directory: '{folder}'; move the file in its place away"
    ),
    "missing": Fault(lose_parent, remount_writable, "[Errno 30] Read-only file system: '{folder}'; mount it writable"),
    "hangs": Fault(
        hang,
        uncover,
        "storing a document took longer than 10 s; check its disk, or the network and the server behind it",
    ),
    "unmounted": Fault(die, uncover, "[Errno 107] Transport endpoint is not connected: '{folder}'; mount it again"),
    "refused": Fault(
        refuse_writing, allow_writing, "[Errno 13] Permission denied: '{folder}'; allow this user to use it", RESTRICTED
    ),
}


class Scene:
    """A queue, a service with a document store on a small disk, and a producer."""

    def __init__(self, stage: Stage, running: Running, folder: Path, program: tuple[str, ...], **settings: Any) -> None:
        self.folder = folder
        self.client = stage.client(running)
        self._start = lambda: stage.service(
            running,
            program,
            MAX_QUEUE_TASK_SIZE=INLINE,
            DOCUMENT_STORE=str(folder),
            DOCUMENT_URL_PREFIX="https://files.example.org",
            RENDER_WORKERS=2,
            ADMIN_TOKEN=TOKEN,
            **({"TASK_SECONDS": 1, "TASK_RETRY_LIMIT": 1} | settings),
        )
        self.service = self._start()

    def restart(self) -> None:
        self.service = self._start()

    def submit(self, view: str, count: int) -> list[str]:
        ids = [f"{view}-{number:02}" for number in range(count)]
        for task_id in ids:
            self.client.insert(task_id, payload(view, header_text=task_id))
        return ids

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.service.address}{path}", trust_env=False, timeout=30)

    def health(self) -> dict[str, Any]:
        """Return the health, whose status code is 200 in every state of the store: a restart doesn't help."""
        response = self.get("/health")
        assert response.status_code == 200
        return dict(response.json())

    def wait_for(self, **expected: Any) -> dict[str, Any]:
        """Return the health as soon as it has these values."""
        deadline = time.monotonic() + PATIENCE
        while not expected.items() <= (health := self.health()).items():
            assert time.monotonic() < deadline, health
            time.sleep(0.05)
        return health

    def tasks(self) -> dict[str, dict[str, Any]]:
        return {task["id"]: task for task in self.client.left()}

    def take_links(self, ids: list[str]) -> None:
        """Take a result for each task, check that its document is stored, once, and that nothing else is."""
        results = [result for _, result in self.client.take(len(ids))]
        assert Counter(result.task_id for result in results) == Counter(ids)
        assert all(result.kind == "result#link" for result in results)
        assert {path.name for path in self.folder.iterdir()} == {f"{result.sha256}.pdf" for result in results}
        for result in results:
            assert result.url == f"https://files.example.org/{result.sha256}.pdf"
            content = (self.folder / f"{result.sha256}.pdf").read_bytes()
            assert hashlib.sha256(content).hexdigest() == result.sha256
        # The service deletes a task only after it has inserted the result.
        deadline = time.monotonic() + PATIENCE
        while self.client.left() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.client.left() == []


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a document store, on a small disk of its own."""
    with mounted(tmp_path / "disk") as disk:
        (disk / "documents").mkdir()
        yield disk / "documents"
        if disk / "documents" in COVERS:
            uncover(disk / "documents")


@pytest.fixture
def scene(stage: Stage, tmp_path: Path, folder: Path) -> Iterator[Callable[..., Scene]]:
    with ExitStack() as stack:
        running = stack.enter_context(queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}"))
        yield lambda program=SERVICE, **settings: Scene(stage, running, folder, program, **settings)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_outage_of_the_document_store_only_delays_results(
    scene: Callable[..., Scene], folder: Path, fault: Fault
) -> None:
    """It lasts longer than a lease, and a task has a single attempt. Small documents are delivered meanwhile."""
    here = scene(fault.program)
    fault.begin(folder)
    large, small = here.submit(LARGE, 5), here.submit(SMALL, 5)
    assert {result.task_id for _, result in here.client.take(5)} == set(small)
    cause = "document store: " + fault.cause.format(folder=folder) + "; 5 documents wait"
    health = here.wait_for(status="degraded", waiting_documents=5)
    assert (health["document_store"], health["reasons"]) == (cause, [])
    assert here.get("/readyz").status_code == 200, "it still takes tasks"
    first = {task_id: int(task["leaseTimestamp"]) for task_id, task in here.tasks().items()}
    assert sorted(first) == large
    _wait_until(lambda: time.time() * 1e6 > max(first.values()))
    assert [task["retry_count"] for task in here.tasks().values()] == [1] * 5, "leased once"
    assert "render_waiting_documents 5.0" in here.get("/metrics").text
    fault.end(folder)
    here.take_links(large)
    here.wait_for(status="ok", document_store="", waiting_documents=0)
    metrics = here.get("/metrics").text
    assert "render_waiting_documents 0.0" in metrics
    assert f'render_tasks_total{{outcome="done",resource="{LARGE}"}} 5.0' in metrics
    assert 'render_stage_seconds_count{stage="render"} 10.0' in metrics, "each document was drawn once"
    assert here.service.end() == 0


def test_a_service_whose_backlog_is_full_leases_nothing_until_there_is_space(
    scene: Callable[..., Scene], folder: Path, tmp_path: Path
) -> None:
    here = scene()
    fill_disk(folder)
    large = here.submit(LARGE, 3 * MAX_DOCUMENTS)
    health = here.wait_for(leasing=False)
    assert MAX_DOCUMENTS <= health["waiting_documents"] <= MAX_DOCUMENTS + 1, "two workers"
    ready = here.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, health["document_store"])
    # The service has another task only if it was leased before; its lease is renewed.
    before = here.tasks()
    _wait_until(lambda: time.time() * 1e6 > max(int(task["leaseTimestamp"]) for task in before.values()))
    assert {task_id: task["retry_count"] for task_id, task in here.tasks().items()} == {
        task_id: task["retry_count"] for task_id, task in before.items()
    }
    assert {worker["phase"] for worker in here.health()["workers"]} == {"store"}
    free_space(folder)
    here.take_links(large)
    assert here.wait_for(status="ok")["leasing"]
    assert here.get("/readyz").status_code == 200
    assert [worker["restarts"] for worker in here.health()["workers"]] == [0, 0]
    assert here.service.end() == 0


def test_sigterm_during_an_outage_releases_the_tasks_at_once(
    scene: Callable[..., Scene], folder: Path, tmp_path: Path
) -> None:
    here = scene(TASK_SECONDS=50, TASK_RETRY_LIMIT=5)
    fill_disk(folder)
    large = here.submit(LARGE, 5)
    here.wait_for(waiting_documents=5)
    assert here.service.end(signal.SIGTERM) == 0
    assert sorted(here.client.lease_all()) == large
    assert [event for event in _events(tmp_path / "log") if "fail" in event] == ["document store failed"]
    assert list(folder.iterdir()) == []


def test_sigterm_after_an_outage_delivers_the_documents_first(scene: Callable[..., Scene], folder: Path) -> None:
    here = scene(TASK_SECONDS=50, TASK_RETRY_LIMIT=5)
    fill_disk(folder)
    large = here.submit(LARGE, 5)
    here.wait_for(waiting_documents=5)
    free_space(folder)
    assert here.service.end(signal.SIGTERM) == 0
    here.take_links(large)


def test_a_restarted_worker_leaves_the_waiting_documents_alone(scene: Callable[..., Scene], folder: Path) -> None:
    here = scene()
    fill_disk(folder)
    large = here.submit(LARGE, 5)
    here.wait_for(waiting_documents=5)
    for worker in ("worker-1", "worker-2"):
        restart = {"worker": worker, "token": TOKEN}
        httpx.post(f"{here.service.address}/status/restart", data=restart, trust_env=False)
    _wait_until(lambda: [worker["restarts"] for worker in here.health()["workers"]] == [1, 1])
    assert here.health()["waiting_documents"] == 5
    assert [task["retry_count"] for task in here.tasks().values()] == [1] * 5
    free_space(folder)
    here.take_links(large)
    assert here.service.end() == 0


def test_a_killed_service_loses_no_waiting_document(scene: Callable[..., Scene], folder: Path) -> None:
    here = scene(TASK_RETRY_LIMIT=5)
    fill_disk(folder)
    large = here.submit(LARGE, 5)
    here.wait_for(waiting_documents=5)
    here.service.end(signal.SIGKILL)
    free_space(folder)
    here.restart()
    here.take_links(large)
    assert here.service.end() == 0


def test_a_document_whose_name_is_taken_fails_and_the_others_are_delivered(
    scene: Callable[..., Scene], folder: Path
) -> None:
    here = scene()
    taken = payload(LARGE, header_text="taken", seed=7)
    here.client.insert("before", taken)
    ((_, before),) = here.client.take(1)
    path = folder / f"{before.sha256}.pdf"
    path.unlink()
    path.mkdir()
    here.client.insert("taken", taken)
    health = here.wait_for(status="degraded")
    assert health["document_store"].startswith(f"document store: [Errno 21] Is a directory: '{path}'; move the folder")
    results: dict[str, Any] = {}
    for number in range(OWN_FAILURES):
        here.client.insert(f"other-{number}", payload(LARGE, header_text=f"other {number}"))
        while f"other-{number}" not in results:
            results |= {result.task_id: result for _, result in here.client.take(1)}
    if "taken" not in results:
        results |= {result.task_id: result for _, result in here.client.take(1)}
    failed = results.pop("taken")
    assert failed.error.code == "delivery_failed"
    assert sorted(results) == [f"other-{number}" for number in range(OWN_FAILURES)]
    assert all(result.kind == "result#link" for result in results.values())
    here.wait_for(status="ok")
    assert here.service.end() == 0


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _events(log: Path) -> list[str]:
    return [json.loads(line)["event"] for line in log.read_text().splitlines()]
