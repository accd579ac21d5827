"""Documents in a folder: complete or absent, stored once, and deleted when nobody needs them any more."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from render_trio.delivery import directory
from render_trio.delivery.directory import DirectoryStore
from tests import kernel_without
from tests.conftest import ROOT

PDF = b"%PDF" * 100
SHA256 = hashlib.sha256(PDF).hexdigest()
DAY = 86_400.0

# Writes a document whose second half never arrives: fsync is the last step before the name is final.
KILLED = """
import os, signal, sys
from pathlib import Path
from render_trio.delivery.directory import DirectoryStore
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
DirectoryStore(Path(sys.argv[1]), "").put(bytes(1000), "a" * 64)
"""

# Stores a document twice, and prints the error of chmod.
STORED_TWICE = """
import errno, sys
from pathlib import Path
from render_trio.delivery.directory import DirectoryStore
folder = Path(sys.argv[1])
try:
    folder.chmod(0o755)
except OSError as error:
    print(errno.errorcode[error.errno])
for _ in range(2):
    DirectoryStore(folder, "").put(b"%PDF" * 100, sys.argv[2])
"""


def age(path: Path, seconds: float) -> None:
    changed = path.stat().st_mtime - seconds
    os.utime(path, (changed, changed))


def test_a_killed_process_leaves_no_document_and_its_partial_file_is_deleted_later(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, cwd=ROOT)
    assert killed.returncode < 0
    (partial,) = tmp_path.iterdir()
    assert partial.suffix == ".part"
    store = DirectoryStore(tmp_path, "")
    store.sweep(DAY)
    assert partial.exists(), "another service may be writing it"
    age(partial, directory.PARTIAL_SECONDS + 1)
    store.sweep(0)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "")
    (tmp_path / f"{SHA256}.pdf").write_bytes(PDF[:100])
    store.put(PDF, SHA256)
    assert store.read(SHA256) == PDF
    assert [path.name for path in tmp_path.iterdir()] == [f"{SHA256}.pdf"]


def test_documents_are_deleted_when_they_were_last_stored_long_ago(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "")
    for digest in ("a" * 64, "b" * 64, "c" * 64):
        store.put(PDF, digest)
        age(tmp_path / f"{digest}.pdf", 31 * DAY)
    store.put(PDF, "b" * 64)
    age(tmp_path / f"{'c' * 64}.pdf", -2 * DAY)
    assert store.sweep(0) == 0, "0 keeps them for ever"
    assert store.sweep(30 * DAY) == 1
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["b", "c"]


@pytest.mark.parametrize(
    "name",
    [
        "report.pdf",
        f"{SHA256}.txt",
        f"{SHA256[:-1]}.pdf",
        f"{SHA256.upper()}.pdf",
        f"{SHA256}.pdf.bak",
        ".hidden.part",
        "video.part",
    ],
)
def test_files_of_others_are_never_deleted(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("")
    age(tmp_path / name, 1000 * DAY)
    assert DirectoryStore(tmp_path, "").sweep(DAY) == 0
    assert (tmp_path / name).exists()


def test_folders_and_symbolic_links_are_never_deleted(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    age(target, 1000 * DAY)
    (tmp_path / f"{'a' * 64}.pdf").mkdir()
    (tmp_path / f"{'b' * 64}.pdf").symlink_to(target)
    assert DirectoryStore(tmp_path, "").sweep(1) == 0
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_that_does_not_exist_yet_has_nothing_to_sweep(tmp_path: Path) -> None:
    assert DirectoryStore(tmp_path / "later", "").sweep(DAY) == 0


@pytest.mark.parametrize("refusal", ["permissions", "permissions and dates"])
@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_permissions_and_dates_accepts_documents(
    refusal: str, error: int, tmp_path: Path
) -> None:
    """Mounted buckets refuse chmod and often utime; the errors differ."""
    command = [*kernel_without.command(refusal, error), sys.executable, "-c", STORED_TWICE, str(tmp_path), SHA256]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout.split() == [errno.errorcode[error]]
    (document,) = tmp_path.iterdir()
    assert document.read_bytes() == PDF
