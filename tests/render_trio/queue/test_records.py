"""Records of documents cost the same however many there are, and are complete or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from render_trio.queue import records as module
from render_trio.queue.messages import LeasedTask
from render_trio.queue.records import Damaged, Record, Records, Submission
from render_trio.queue.results import Received
from tests.render_trio.queue.producing import pdf
from tests.render_trio.queue.test_saving import counted


def received(number: int, **keys: object) -> Received:
    values: dict[str, object] = {
        "task_id": f"task-{number}",
        "success": True,
        "filename": "Grid.pdf",
        "document": pdf(f"{number:04}"),
        "sha256": f"{number:064}",
        "request": {"resource_view": "grid"},
        "fingerprint": "abc",
        "leased": LeasedTask(id=f"result-{number}", payload="", lease_us=0, enqueued_us=0, retry_count=0),
    }
    return Received(**(values | keys))  # type: ignore[arg-type]


def test_a_thousand_documents_of_one_name_cost_the_same_each(tmp_path: Path) -> None:
    records = Records(tmp_path)
    costs = []
    for number in range(1000):
        with counted(tmp_path) as operations:
            records.store(received(number), "result")
            records.finish(f"task-{number}")
            costs.append(len(operations))
    assert costs[-1] == costs[10]
    assert max(costs) <= 30
    found = list(records.read())
    assert len(found) == len({one.file for one in found if isinstance(one, Record)}) == 1000


def test_a_record_has_what_submitting_again_needs(tmp_path: Path) -> None:
    records = Records(tmp_path)
    stored = records.store(received(1), "mine")
    (record,) = records.read()
    assert isinstance(record, Record)
    assert records.path_of(record) == stored.path
    assert (record.task_id, record.view, record.fingerprint, record.tag) == ("task-1", "grid", "abc", "mine")
    assert record.request == {"resource_view": "grid"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"file": "x.pdf"}',
        b'{"file": "../x.pdf"}',
        pytest.param(b'{"request": ' + b"[" * 48_000, id="deeply nested"),
    ],
)
def test_a_damaged_record_is_reported_by_its_path(tmp_path: Path, content: bytes) -> None:
    records = Records(tmp_path)
    records.store(received(1), "result")
    (path,) = (tmp_path / ".render-trio" / "documents").iterdir()
    path.write_bytes(content)
    (damaged,) = records.read()
    assert isinstance(damaged, Damaged)
    assert (damaged.path, bool(damaged.reason)) == (path, True)


def test_a_record_that_could_not_be_written_leaves_the_former_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(tmp_path)
    records.store(received(1), "result")

    def fail(*arguments: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(module, "replace", fail)
    with pytest.raises(OSError, match="full"):
        records.store(received(1, fingerprint="def"), "result")
    (record,) = records.read()
    assert isinstance(record, Record)
    assert record.fingerprint == "abc"


def test_submissions_are_found_by_the_file_that_they_replace(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for task_id in ("one", "done"):
        records.note(Submission(task_id=task_id, file=f"{task_id}.pdf", sha256="0" * 64))
    assert set(records.outstanding({"done"})) == {"one.pdf"}
    records.finish("one")
    records.finish("one")
    assert records.outstanding(()) == {}


def test_submissions_that_another_process_removes_meanwhile_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = Records(tmp_path)
    records.note(Submission(task_id="one", file="one.pdf", sha256="0" * 64))
    read = module._read

    def remove_and_read(path: Path, kind: type[Submission]) -> object:
        path.unlink()
        return read(path, kind)

    monkeypatch.setattr(module, "_read", remove_and_read)
    assert records.outstanding(()) == {}


def test_a_damaged_submission_is_removed(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.note(Submission(task_id="one", file="one.pdf", sha256="0" * 64))
    (path,) = (tmp_path / ".render-trio" / "submitted").iterdir()
    path.write_bytes(b"{")
    assert records.outstanding(()) == {}
    assert not path.exists()
