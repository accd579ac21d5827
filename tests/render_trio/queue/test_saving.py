"""Documents are saved completely or not at all, under names that stay in their folder, at a constant cost."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_trio.queue import saving
from render_trio.queue.saving import clean_name, save
from resources.request import DEVICE_NAMES, FILENAME_BYTES
from tests import kernel_without
from tests.conftest import ROOT
from tests.processes import environment

_operations: list[str] = []
_counted_folder: Path | None = None
COUNTED = ("open", "os.link", "os.remove", "os.rename", "os.listdir", "os.scandir", "os.mkdir", "os.chmod")


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _counted_folder is None or event not in COUNTED or not arguments:
        return
    path = arguments[0]
    if isinstance(path, str | os.PathLike) and Path(path).is_relative_to(_counted_folder):
        _operations.append(event)


sys.addaudithook(_hook)


@contextmanager
def counted(folder: Path) -> Iterator[list[str]]:
    """Yield the operations that the block makes on a folder and its files.

    Other operations don't count: the garbage collector may delete an earlier test's temporary files in between.
    """
    global _counted_folder
    _operations.clear()
    _counted_folder = folder
    try:
        yield _operations
    finally:
        _counted_folder = None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Grid (a4).pdf", "Grid (a4).pdf"),
        ("Grid (a4).PDF", "Grid (a4).pdf"),
        ("Grid", "Grid.pdf"),
        ("../../etc/passwd", "etc passwd.pdf"),
        ("/etc/passwd", "etc passwd.pdf"),
        ("C:\\Windows\\x.pdf", "C Windows x.pdf"),
        ("..", "document.pdf"),
        ("", "document.pdf"),
        ("\x00\x1b[31m\n", "[31m.pdf"),
        (".bashrc", "bashrc.pdf"),
        ("-rf *", "rf.pdf"),
        ("name. . .pdf", "name.pdf"),
        ("con", "_con.pdf"),
        ("COM1.txt", "_COM1.txt.pdf"),
        ("nul .pdf", "_nul.pdf"),
        ("console", "console.pdf"),
        ("gepj.\u202efdp.exe", "gepj.fdp.exe.pdf"),
        ("O\u0304.pdf", "\u014c.pdf"),
        ("O\u200d\u0304.pdf", "\u014c.pdf"),
        ("a\ud800b", "a b.pdf"),
        ("a\u2028b", "a b.pdf"),
    ],
)
def test_a_name_from_outside_is_made_a_file_name(text: str, name: str) -> None:
    assert clean_name(text, ".pdf").replace("?", " ") == name


@given(st.text(st.characters(exclude_categories=()), max_size=400), st.sampled_from([0, 11, 67]))
def test_every_name_is_safe_on_every_file_system(text: str, room: int) -> None:
    name = clean_name(text, ".pdf", room=room)
    stem = name.removesuffix(".pdf")
    assert stem
    assert len(name.encode()) + room <= FILENAME_BYTES
    assert not set(name) & set('/\\:*?"<>|')
    assert all(unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for character in name)
    assert name[0] not in " .-"
    assert stem[-1] not in " ."
    assert not DEVICE_NAMES.fullmatch(stem)
    assert unicodedata.is_normalized("NFC", name)
    assert clean_name(name, ".pdf") == name or room


def test_a_thousand_files_of_one_name_cost_the_same_each(tmp_path: Path) -> None:
    costs = []
    for number in range(1000):
        with counted(tmp_path) as operations:
            path = save(tmp_path, "Grid.pdf", b"%PDF-" + str(number).zfill(4).encode())
            costs.append(len(operations))
        assert path.parent == tmp_path
    assert 5 <= min(costs) <= max(costs) <= 12
    assert costs[-1] == costs[10]
    assert len(list(tmp_path.iterdir())) == 1000


def test_the_digest_tells_files_of_one_name_apart(tmp_path: Path) -> None:
    first, second = b"%PDF-first", b"%PDF-2nd"
    digest = hashlib.sha256(second).hexdigest()
    assert save(tmp_path, "Grid.pdf", first).name == "Grid.pdf"
    assert save(tmp_path, "Grid.pdf", second).name == f"Grid ({digest[:8]}).pdf"
    (tmp_path / f"Grid ({digest[:8]}).pdf").write_bytes(b"something else")
    assert save(tmp_path, "Grid.pdf", second).name == f"Grid ({digest}).pdf"


def test_equal_content_uses_the_existing_file(tmp_path: Path) -> None:
    paths = [save(tmp_path, "Grid.pdf", content) for content in (b"1", b"2", b"1", b"2")]
    assert paths[:2] == paths[2:]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("occupied", ["folder", "dangling link"])
def test_something_else_that_has_the_name_is_kept(tmp_path: Path, occupied: str) -> None:
    taken = tmp_path / "Grid.pdf"
    if occupied == "folder":
        taken.mkdir()
    else:
        taken.symlink_to(tmp_path / "nothing")
    path = save(tmp_path, "Grid.pdf", b"content")
    assert path != taken
    assert path.read_bytes() == b"content"
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_hard_links_works(tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(saving.os, "link", refuse)
    paths = [save(tmp_path, "Grid.pdf", content) for content in (b"1", b"2", b"1")]
    assert len(set(paths)) == 2
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}


def test_a_file_system_with_short_names_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As eCryptfs does, which allows 143 bytes."""
    link = os.link

    def limited(source: str, target: Path) -> None:
        if len(Path(target).name.encode()) > 143:
            raise OSError(errno.ENAMETOOLONG, "File name too long")
        link(source, target)

    monkeypatch.setattr(saving.os, "link", limited)
    path = save(tmp_path, "x" * 300, b"content")
    assert path.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(saving.os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, "Grid.pdf", b"content")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_permissions_accepts_files(tmp_path: Path, error: int) -> None:
    """Mounted buckets and network shares refuse chmod; the errors differ."""
    program = (
        "import sys; from pathlib import Path; from render_trio.queue import saving\n"
        "saving.save(Path(sys.argv[1]), 'Grid.pdf', b'content')"
    )
    command = [*kernel_without.command("permissions", error), sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, env=environment(), cwd=ROOT, check=True)
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == b"content"


@pytest.mark.parametrize("moment", ["os.link", "os.fsync", "os.unlink"])
def test_a_kill_leaves_no_partial_file_under_a_final_name(tmp_path: Path, moment: str) -> None:
    """The process kills itself in the middle of saving: before, while or after the file gets its name."""
    program = (
        "import os, signal, sys; from pathlib import Path; from render_trio.queue import saving\n"
        f"def kill(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{moment} = kill\n"
        "saving.save(Path(sys.argv[1]), 'Grid.pdf', b'content' * 100_000)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    ended = subprocess.run(command, env=environment(), cwd=ROOT, check=False)
    assert ended.returncode == -signal.SIGKILL
    for path in tmp_path.glob("*.pdf"):
        assert path.read_bytes() == b"content" * 100_000
    assert save(tmp_path, "Grid.pdf", b"content" * 100_000).name == "Grid.pdf"


@pytest.mark.parametrize(
    ("name", "age", "deleted"),
    [
        (".render-trio-abcdef_9.part", saving.PARTIAL_SECONDS - 1, False),
        (".render-trio-abcdef_9.part", saving.PARTIAL_SECONDS, False),
        (".render-trio-abcdef_9.part", saving.PARTIAL_SECONDS + 1, True),
        (".render-trio-abcdef_.part", 1e9, False),
        (".render-trio-abcdef_9.pdf", 1e9, False),
        ("render-trio-abcdef_9.part", 1e9, False),
        ("Grid.pdf", 1e9, False),
    ],
)
def test_only_partial_files_that_no_process_can_be_writing_are_deleted(
    tmp_path: Path, name: str, age: float, deleted: bool
) -> None:
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (2e9 - age, 2e9 - age))
    saving.sweep(tmp_path, 2e9)
    assert (tmp_path / name).exists() is not deleted
    assert saving.PARTIAL_SECONDS == 3600


def test_a_sweep_deletes_no_folders_and_continues_after_a_file_that_can_not_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f".render-trio-abcdef_{number}.part" for number in range(4)]
    (tmp_path / names[0]).mkdir()
    (tmp_path / names[1]).symlink_to(tmp_path / "old")
    for name in ("old", *names[2:]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    refused: list[Path] = []
    unlink = Path.unlink

    def refuse_first(path: Path, missing_ok: bool = False) -> None:
        if not refused:
            refused.append(path)
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse_first)
    saving.sweep(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"old", *names[:2], refused[0].name}
    saving.sweep(tmp_path / "missing")


def test_the_first_file_that_is_saved_to_a_folder_sweeps_it(tmp_path: Path) -> None:
    """Not each one: the cost of a file doesn't depend on the number of files in the folder."""
    partial = tmp_path / ".render-trio-abcdef_9.part"
    for swept in (True, False):
        partial.touch()
        os.utime(partial, (0, 0))
        save(tmp_path, "Grid.pdf", str(swept).encode())
        assert partial.exists() is not swept


def test_a_saved_file_is_found_again_although_the_first_name_has_become_free(tmp_path: Path) -> None:
    save(tmp_path, "Grid.pdf", b"first").unlink()
    save(tmp_path, "Grid.pdf", b"another")
    second = save(tmp_path, "Grid.pdf", b"second")
    (tmp_path / "Grid.pdf").unlink()
    assert save(tmp_path, "Grid.pdf", b"second") == second
    assert [path.name for path in tmp_path.iterdir()] == [second.name]
