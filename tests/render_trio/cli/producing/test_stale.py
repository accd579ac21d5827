"""`submit --stale` draws again exactly the documents that an upgrade changed, and `results` replaces their files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from render_trio.queue.records import Records, Submission
from render_trio.rendering.fingerprint import fingerprint
from tests.processes import environment, start_service
from tests.render_trio.cli.producing.running import invoke, start, variables_of
from tests.render_trio.queue.producing import Inbox, document_result, pdf

PLUGIN = """
from resources.drawing import OUTLINE
from resources.options import Number
from resources.resource import Resource

def draw(document, choices):
    with document.page() as page, page.figure("Some lines"):
        for _ in range(choices["lines"]):
            x = page.area.x + document.random.randrange(100)
            page.line((x, page.area.y), (x, page.area.y + LENGTH), stroke=OUTLINE)

RESOURCE = Resource(
    view="VIEW", name="VIEW", summary="Lines.", options=(Number("lines", "Lines", 1, 9, 3),),
    subtitle=lambda choices, paper: paper, pages=lambda choices: 1, draw=draw,
)
"""


def saved(inbox: Inbox, folder: Path, name: str, content: bytes, **keys: Any) -> None:
    """Let `results` write a document, with what its service reported."""
    inbox.put(document_result(content, filename=name, task_id=f"task-{name}", **keys))
    assert invoke(inbox, "results", "--out", str(folder), "--wait", "0").exit_code == 0


def request_of(view: str = "grid", **options: Any) -> dict[str, Any]:
    return {"resource_view": view, "paper_size": "a4", "copies": 1, "seed": "the-seed", **options}


def test_only_what_changed_is_submitted_with_the_same_request(inbox: Inbox, tmp_path: Path) -> None:
    saved(inbox, tmp_path, "old.pdf", pdf("old"), fingerprint="0", request=request_of(header_text="Room Four"))
    saved(inbox, tmp_path, "new.pdf", pdf("new"), fingerprint=fingerprint("grid"), request=request_of())
    result = invoke(inbox, "submit", "--stale", str(tmp_path))
    assert result.exit_code == 0
    assert result.stderr == "1 submitted, 1 up to date\n"
    assert result.stdout.split() == inbox.ids()
    values = inbox.task(inbox.ids()[0])
    assert values == {"kind": "task#render", **request_of(header_text="Room Four")}


def test_a_second_run_submits_nothing_while_the_first_is_outstanding(inbox: Inbox, tmp_path: Path) -> None:
    saved(inbox, tmp_path, "old.pdf", pdf("old"), fingerprint="0", request=request_of())
    (task_id,) = json.loads(invoke(inbox, "submit", "--stale", str(tmp_path), "--json").stdout)["ids"]
    again = invoke(inbox, "submit", "--stale", str(tmp_path))
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == "0 submitted, 1 submitted before and not fetched yet\n"
    assert inbox.ids() == [task_id]


def answer(inbox: Inbox, task_id: str, content: bytes, **keys: Any) -> None:
    """Insert the result of a task, as the installed version of the service does."""
    reported = {"fingerprint": fingerprint("grid"), "request": request_of(), "filename": "renamed.pdf"}
    inbox.put(document_result(content, task_id=task_id, **(reported | keys)))


def stale_task(inbox: Inbox, folder: Path, **keys: Any) -> str:
    """Return the ID of the task that draws the document old.pdf again; nothing is left in the queue."""
    saved(inbox, folder, "old.pdf", pdf("old"), fingerprint="0", request=request_of(), **keys)
    task_id = invoke(inbox, "submit", "--stale", str(folder)).stdout.strip()
    httpx.delete(f"{inbox.tasks}/{task_id}", trust_env=False).raise_for_status()
    return task_id


def test_the_result_replaces_the_file(inbox: Inbox, tmp_path: Path) -> None:
    answer(inbox, stale_task(inbox, tmp_path), pdf("drawn again"))
    assert invoke(inbox, "results", "--out", str(tmp_path), "--wait", "0").exit_code == 0
    assert [path.name for path in tmp_path.glob("*.pdf")] == ["old.pdf"]
    assert (tmp_path / "old.pdf").read_bytes() == pdf("drawn again")
    after = invoke(inbox, "submit", "--stale", str(tmp_path))
    assert (after.exit_code, after.stderr) == (0, "0 submitted, 1 up to date\n")


def test_a_file_that_a_person_changed_is_kept(inbox: Inbox, tmp_path: Path) -> None:
    task_id = stale_task(inbox, tmp_path)
    (tmp_path / "old.pdf").write_bytes(b"annotated")
    answer(inbox, task_id, pdf("drawn again"))
    result = invoke(inbox, "results", "--out", str(tmp_path), "--wait", "0")
    assert "old.pdf was changed since it was drawn" in result.stderr
    assert (tmp_path / "old.pdf").read_bytes() == b"annotated"
    assert (tmp_path / "renamed.pdf").read_bytes() == pdf("drawn again")


def test_a_failure_keeps_the_file_and_it_can_be_submitted_again(inbox: Inbox, tmp_path: Path) -> None:
    task_id = stale_task(inbox, tmp_path)
    failed = {"kind": "result#document", "success": False, "task_id": task_id, "error": {"code": "x", "message": "no"}}
    inbox.put(failed)
    assert invoke(inbox, "results", "--out", str(tmp_path), "--wait", "0").exit_code == 3
    assert (tmp_path / "old.pdf").read_bytes() == pdf("old")
    assert invoke(inbox, "submit", "--stale", str(tmp_path)).stdout.split() == inbox.ids() != []


def test_the_tag_of_the_results_is_kept(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put(document_result(fingerprint="0", request=request_of()), tag="mine")
    assert invoke(inbox, "results", "--out", str(tmp_path), "--tag", "mine", "--wait", "0").exit_code == 0
    task_id = invoke(inbox, "submit", "--stale", str(tmp_path)).stdout.strip()
    assert inbox.task(task_id)["reply_tag"] == "mine"


def test_what_can_not_be_submitted_again_is_reported_and_the_rest_is_submitted(inbox: Inbox, tmp_path: Path) -> None:
    saved(inbox, tmp_path, "missing.pdf", pdf("1"), fingerprint="0", request=request_of())
    saved(inbox, tmp_path, "removed.pdf", pdf("2"), fingerprint="0", request=request_of("laundry"))
    saved(inbox, tmp_path, "rejected.pdf", pdf("3"), fingerprint="0", request=request_of(copies=0))
    saved(inbox, tmp_path, "older.pdf", pdf("4"))
    saved(inbox, tmp_path, "damaged.pdf", pdf("5"), fingerprint="0", request=request_of())
    records = tmp_path / ".render-trio" / "documents"
    (damaged,) = [path for path in records.iterdir() if b'"damaged.pdf"' in path.read_bytes()]
    damaged.write_text('{"file": "../x.pdf"')
    saved(inbox, tmp_path, "fine.pdf", pdf("6"), fingerprint="0", request=request_of())
    (tmp_path / "missing.pdf").unlink()
    result = invoke(inbox, "submit", "--stale", str(tmp_path))
    assert result.exit_code == 3
    assert len(inbox.ids()) == 1
    *problems, summary = result.stderr.splitlines()
    assert summary == "1 submitted, 5 with a problem"
    for name, reason in [
        ("missing.pdf", "the file is missing"),
        ("removed.pdf", "'laundry' is not installed"),
        ("rejected.pdf", "copies is 0"),
        ("older.pdf", "did not report a fingerprint"),
        (damaged.name, "is damaged"),
    ]:
        assert any(name in line and reason in line for line in problems), (name, problems)


KILL = "import os, signal\ndef kill(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
BEFORE_THE_TASK = f"{KILL}from render_trio.queue.task_queue.client import TaskQueue\nTaskQueue.submit = kill"
AFTER_THE_TASK = f"{KILL}from render_trio.cli.producing import submitting\nsubmitting.msgspec.structs.replace = kill"


@pytest.mark.parametrize(("program", "submitted"), [(BEFORE_THE_TASK, 0), (AFTER_THE_TASK, 1)])
def test_a_kill_submits_a_document_once(inbox: Inbox, tmp_path: Path, program: str, submitted: int) -> None:
    saved(inbox, tmp_path, "old.pdf", pdf("old"), fingerprint="0", request=request_of())
    process = start(inbox, "submit", "--stale", str(tmp_path), program=program)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert len(inbox.ids()) == submitted
    result = invoke(inbox, "submit", "--stale", str(tmp_path))
    assert (result.exit_code, result.stdout.split()) == (0, inbox.ids())
    assert len(inbox.ids()) == 1


AFTER_REPLACING = f"{KILL}from render_trio.queue import records\nrecords._write = kill"
BEFORE_ACKNOWLEDGING = f"{KILL}from render_trio.queue.task_queue.client import TaskQueue\nTaskQueue.delete = kill"
AFTER_ACKNOWLEDGING = f"{KILL}from render_trio.queue.records import Records\nRecords.finish = kill"


@pytest.mark.parametrize("program", [AFTER_REPLACING, BEFORE_ACKNOWLEDGING, AFTER_ACKNOWLEDGING])
def test_a_kill_while_a_file_is_replaced_leaves_one_file(inbox: Inbox, tmp_path: Path, program: str) -> None:
    answer(inbox, stale_task(inbox, tmp_path), pdf("drawn again"))
    lease = "from render_trio.cli.producing import fetching\nfetching.LEASE_SECONDS = 1\n"
    process = start(inbox, "results", "--out", str(tmp_path), program=lease + program)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    wait = "20" if inbox.ids() else "0"
    assert invoke(inbox, "results", "--out", str(tmp_path), "--wait", wait).exit_code == 0
    assert [path.name for path in tmp_path.glob("*.pdf")] == ["old.pdf"]
    assert (tmp_path / "old.pdf").read_bytes() == pdf("drawn again")
    assert invoke(inbox, "submit", "--stale", str(tmp_path)).stderr == "0 submitted, 1 up to date\n"
    assert Records(tmp_path).outstanding(()) == {}


def test_a_submission_names_only_a_file_of_its_folder(inbox: Inbox, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    Records(folder).note(Submission(task_id="one", file="../victim.pdf", sha256="0" * 64, accepted=True))
    inbox.put(document_result())
    assert invoke(inbox, "results", "--out", str(folder), "--wait", "0").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# -- the whole way, with a plug-in whose code changes


def test_an_upgrade_of_a_plug_in_draws_its_documents_again(inbox: Inbox, tmp_path: Path) -> None:
    plugins, out = tmp_path / "plugins", tmp_path / "out"

    def write(view: str, length: int) -> None:
        folder = plugins / view
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{view}.py").write_text(f"LENGTH = {length}\n" + PLUGIN.replace("VIEW", view))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        folders = [word for view in ("changing", "constant") for word in ("--plugins", str(plugins / view))]
        command = [sys.executable, "-m", "render_trio", *folders, *arguments]
        where = environment(**variables_of(inbox))
        return subprocess.run(command, env=where, capture_output=True, text=True, check=True, timeout=60)

    def fetch(count: int) -> dict[str, bytes]:
        folders = f"{plugins / 'changing'}:{plugins / 'constant'}"
        options = {"QUEUE_NAME": inbox.name, "PLUGIN_DIRECTORY": folders, "RENDER_WORKERS": 1}
        service = start_service(inbox.address, tmp_path / "log", **options)
        try:
            for _ in range(count):
                run("results", "--out", str(out), "--wait", "30")
                if len(inbox.ids()) == 0:
                    break
        finally:
            service.end()
        run("results", "--out", str(out), "--wait", "0")
        return {path.name: path.read_bytes() for path in out.glob("*.pdf")}

    write("changing", 50)
    write("constant", 50)
    run("submit", "changing", "-o", "lines=4")
    run("submit", "constant")
    before = fetch(5)
    assert len(before) == 2
    assert run("submit", "--stale", str(out)).stderr == "0 submitted, 2 up to date\n"
    write("changing", 60)
    submitted = run("submit", "--stale", str(out))
    assert submitted.stderr == "1 submitted, 1 up to date\n"
    (task_id,) = submitted.stdout.split()
    assert inbox.task(task_id)["lines"] == 4
    after = fetch(5)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"changing (a4).pdf"}
    write("changing", 50)
    run("submit", "--stale", str(out))
    assert fetch(5) == before  # the same seed: the random lines are where they were
