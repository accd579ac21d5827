"""`results` writes each document before it acknowledges its result, and reports what needs attention."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path

import pytest

from tests.processes import start_queue
from tests.redis_server import free_port
from tests.render_trio.cli.producing.running import invoke, start
from tests.render_trio.queue.producing import PDF, Inbox, Web, document_result, link_result, pdf

FAILURE = {
    "kind": "result#document",
    "success": False,
    "task_id": "bad",
    "filename": None,
    "document": None,
    "error": {"code": "invalid_option", "message": "copies is \x1b[31m0"},
}


def test_documents_are_written_and_acknowledged(inbox: Inbox, tmp_path: Path) -> None:
    for number in range(25):
        inbox.put(document_result(pdf(str(number)), task_id=f"task-{number}"))
    result = invoke(inbox, "results", "--out", str(tmp_path / "out"), "--wait", "0")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 25
    assert len(list((tmp_path / "out").glob("*.pdf"))) == 25
    assert inbox.ids() == []


def test_a_queue_without_results_is_no_error(inbox: Inbox, tmp_path: Path) -> None:
    result = invoke(inbox, "results", "--out", str(tmp_path), "--wait", "0")
    assert (result.exit_code, result.stdout) == (0, "")


def test_only_results_with_the_tag_are_fetched(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put(document_result(task_id="mine"), tag="mine")
    other = inbox.put(document_result(task_id="other"))
    assert "mine:" in invoke(inbox, "results", "--out", str(tmp_path), "--tag", "mine", "--wait", "0").stdout
    assert inbox.ids() == [other]


def test_failures_are_reported_with_an_exit_code(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put(FAILURE)
    result = invoke(inbox, "results", "--out", str(tmp_path), "--wait", "0")
    assert result.exit_code == 3
    assert result.stdout == "bad: invalid_option: copies is \N{REPLACEMENT CHARACTER}[31m0\n"
    assert inbox.ids() == []


def test_broken_results_are_set_aside_and_the_others_are_fetched(inbox: Inbox, web: Web, tmp_path: Path) -> None:
    web.pages["/x.pdf"] = (200, {}, b"<html>")
    inbox.put(b"not JSON", task_id="broken")
    inbox.put(document_result(sha256="0" * 64))
    inbox.put(link_result(f"{web.address}/x.pdf"))
    inbox.put(document_result(task_id="good"))
    result = invoke(inbox, "results", "--out", str(tmp_path), "--wait", "0", "--json")
    assert result.exit_code == 3
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(row["success"] for row in rows) == [False, False, False, True]
    assert {row["error"]["code"] for row in rows if not row["success"]} == {"broken_result"}
    assert len(list((tmp_path / "rejected").iterdir())) == 3
    assert (tmp_path / "rejected" / "broken.json").is_file()
    assert (tmp_path / "Grid (a4).pdf").read_bytes() == PDF
    assert inbox.ids() == []


def test_a_linked_document_is_fetched_before_its_result_is_acknowledged(inbox: Inbox, web: Web, tmp_path: Path) -> None:
    content = pdf("linked")
    left = inbox.put(link_result(f"{web.address}/x.pdf", content, task_id="linked"))
    inbox.put(document_result(task_id="good"))
    result = invoke(inbox, "results", "--out", str(tmp_path), "--wait", "0")
    assert result.exit_code == 3
    assert f"linked: document_unavailable: {web.address}/x.pdf answers with status 404" in result.stdout
    assert inbox.ids() == [left]
    web.pages["/x.pdf"] = (200, {}, content)
    inbox.put(link_result(f"{web.address}/x.pdf", content, filename="Linked.pdf"))
    assert invoke(inbox, "results", "--out", str(tmp_path), "--wait", "0").exit_code == 0
    assert (tmp_path / "Linked.pdf").read_bytes() == content


def test_a_file_link_is_read_from_document_store(inbox: Inbox, tmp_path: Path) -> None:
    digest = hashlib.sha256(PDF).hexdigest()
    store = tmp_path / "store" / "inner"
    store.mkdir(parents=True)
    (store / f"{digest}.pdf").write_bytes(PDF)
    inbox.put(link_result(f"file:///elsewhere/{digest}.pdf"))
    variables = {"DOCUMENT_STORE": str(tmp_path / "store"), "BUCKET_SAVE_DIRECTORY": "inner"}
    assert invoke(inbox, "results", "--out", str(tmp_path / "out"), "--wait", "0", **variables).exit_code == 0
    assert (tmp_path / "out" / "Grid (a4).pdf").read_bytes() == PDF


@pytest.mark.parametrize("name", ["../../x.pdf", "/etc/x.pdf", "CON", "\x00", "a" * 400, ".render-trio/x", "é" * 300])
def test_no_name_leaves_the_folder(inbox: Inbox, tmp_path: Path, name: str) -> None:
    inbox.put(document_result(filename=name, task_id="../../task"))
    inbox.put(document_result(pdf("2"), filename=None, task_id="../../task"))
    assert invoke(inbox, "results", "--out", str(tmp_path / "out"), "--wait", "0").exit_code == 0
    assert len(list((tmp_path / "out").glob("*.pdf"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# -- standard output


def test_one_document_is_written_to_standard_output(inbox: Inbox) -> None:
    inbox.put(FAILURE)
    for number in range(2):
        inbox.put(document_result(pdf("same"), task_id=f"{number}"))
    result = invoke(inbox, "results", "--out", "-")
    assert result.exit_code == 3  # because of the failure before it
    assert result.stdout_bytes == pdf("same")
    assert "bad: invalid_option" in result.stderr
    assert "written to standard output (1 page)" in result.stderr
    assert len(inbox.ids()) == 1
    result = invoke(inbox, "results", "--out", "-", "--json")
    assert (result.exit_code, result.stdout_bytes) == (0, pdf("same"))
    assert json.loads(result.stderr)["success"] is True


def test_no_document_for_standard_output_is_an_error(inbox: Inbox) -> None:
    result = invoke(inbox, "results", "--out", "-", "--wait", "0")
    assert (result.exit_code, result.stdout_bytes) == (1, b"")
    assert "Error: the queue has no result with the tag 'result'" in result.stderr
    assert invoke(inbox, "results", "--out", "-", "--follow").exit_code == 2


def test_a_broken_result_stays_in_the_queue_if_there_is_no_folder_for_it(inbox: Inbox) -> None:
    broken = inbox.put(b"not JSON")
    inbox.put(document_result())
    result = invoke(inbox, "results", "--out", "-", "--wait", "0")
    assert (result.exit_code, result.stdout_bytes) == (3, PDF)
    assert inbox.ids() == [broken]


# -- kills and signals

KILL = "import os, signal\ndef kill(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
BETWEEN_SAVING_AND_ACKNOWLEDGING = (
    f"{KILL}from render_trio.queue.task_queue.client import TaskQueue\nTaskQueue.delete = kill"
)
BETWEEN_DOCUMENT_AND_RECORD = f"{KILL}from render_trio.queue import records\nrecords._write = kill"
BEFORE_THE_DOCUMENT_HAS_ITS_NAME = f"{KILL}import os\nos.link = kill"


@pytest.mark.parametrize(
    "program", [BETWEEN_SAVING_AND_ACKNOWLEDGING, BETWEEN_DOCUMENT_AND_RECORD, BEFORE_THE_DOCUMENT_HAS_ITS_NAME]
)
def test_a_kill_loses_no_document_and_writes_no_second_file(inbox: Inbox, tmp_path: Path, program: str) -> None:
    inbox.put(document_result())
    lease = "from render_trio.cli.producing import fetching\nfetching.LEASE_SECONDS = 1\n"
    process = start(inbox, "results", "--out", str(tmp_path), program=lease + program)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert len(inbox.ids()) == 1
    assert invoke(inbox, "results", "--out", str(tmp_path), "--wait", "20").exit_code == 0
    assert [path.read_bytes() for path in tmp_path.glob("*.pdf")] == [PDF]
    assert inbox.ids() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_following_in_order(inbox: Inbox, tmp_path: Path, number: signal.Signals) -> None:
    inbox.put(document_result())
    process = start(inbox, "results", "--follow", "--out", str(tmp_path))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("one: ")
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert inbox.ids() == []


def test_following_continues_while_the_queue_can_not_be_reached(tmp_path: Path) -> None:
    port = free_port()
    process = start(Inbox(f"http://127.0.0.1:{port}", "render"), "results", "--follow", "--out", str(tmp_path / "out"))
    assert process.stdout is not None
    assert process.stderr is not None
    assert "does not answer" in process.stderr.readline()
    queue = start_queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}", port=port)
    try:
        Inbox(queue.address, "render").put(document_result())
        assert process.stdout.readline().startswith("one: ")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "The queue answers again.\n")
    finally:
        process.kill()
        queue.end()
