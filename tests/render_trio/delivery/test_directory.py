"""Documents in a folder: complete or absent, stored once, and deleted when nobody needs them any more."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from render_trio.delivery import directory
from render_trio.delivery.directory import DirectoryStore
from render_trio.errors import DeliveryError, UnavailableError
from tests import kernel_without
from tests.conftest import ROOT
from tests.emulator.stores.sqlite.faulty import fill
from tests.silent_file_system import SilentFileSystem
from tests.small_disk import mounted, remount

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

# Stores a document twice, and prints the error of chmod, and whether the second time left another file.
STORED_TWICE = """
import errno, os, sys
from pathlib import Path
from render_trio.delivery.directory import DirectoryStore
folder = Path(sys.argv[1])
try:
    folder.chmod(0o755)
except OSError as error:
    print(errno.errorcode[error.errno])
found = []
for _ in range(2):
    DirectoryStore(folder, "").put(b"%PDF" * 100, sys.argv[2])
    (path,) = folder.iterdir()
    found.append(path.open("rb"))  # kept open, so that its inode isn't used again
print(os.fstat(found[0].fileno()).st_ino != os.fstat(found[1].fileno()).st_ino)
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
    """Mounted buckets refuse chmod and often utime; the errors differ.

    A document that is stored again must not look old to the sweep: without dates, it is written again.
    """
    command = [*kernel_without.command(refusal, error), sys.executable, "-c", STORED_TWICE, str(tmp_path), SHA256]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout.split() == [errno.errorcode[error], str(refusal == "permissions and dates")]
    (document,) = tmp_path.iterdir()
    assert document.read_bytes() == PDF


def refused(store: DirectoryStore, pdf: bytes = PDF) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        store.put(pdf, SHA256)
    return caught.value


def test_a_full_disk_is_named_with_what_to_do(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        (disk / "documents").mkdir()
        fill(disk)
        error = refused(DirectoryStore(disk / "documents", ""))
        assert str(error) == (
            f"document store: [Errno 28] No space left on device: '{disk}/documents'; free space there"
        )
        assert error.store_full
        assert list((disk / "documents").iterdir()) == []


def test_a_full_quota_is_a_lack_of_space_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file system here has quotas."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(Path, "replace", refuse)
    error = refused(DirectoryStore(tmp_path, ""))
    assert str(error).endswith("; free space there, or raise the quota")
    assert error.store_full


def test_a_read_only_file_system_is_named_with_what_to_do(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        remount(disk, "ro")
        error = refused(DirectoryStore(disk, ""))
        assert str(error) == f"document store: [Errno 30] Read-only file system: '{disk}'; mount it writable"
        assert not error.store_full


def test_a_folder_in_the_place_of_a_document_is_named(tmp_path: Path) -> None:
    path = tmp_path / f"{SHA256}.pdf"
    path.mkdir()
    error = refused(DirectoryStore(tmp_path, ""))
    assert str(error) == f"document store: [Errno 21] Is a directory: '{path}'; move the folder in its place away"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("inner", ["", "inner"])
def test_a_file_in_the_place_of_the_folder_is_named(inner: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / inner
    error = refused(DirectoryStore(folder, ""))
    cause = "[Errno 20] Not a directory"
    assert str(error) == f"document store: {cause}: '{folder}'; move the file in its place away"


def test_a_link_to_nowhere_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    error = refused(DirectoryStore(tmp_path / "link", ""))
    cause = "[Errno 17] File exists"
    assert str(error) == f"document store: {cause}: '{tmp_path}/link'; move the file in its place away"


def test_a_file_system_whose_process_has_died_is_named(tmp_path: Path) -> None:
    silent = SilentFileSystem(tmp_path)
    silent.die()
    try:
        error = refused(DirectoryStore(tmp_path, ""))
        with pytest.raises(UnavailableError, match="Transport endpoint is not connected"):
            DirectoryStore(tmp_path, "").read(SHA256)
    finally:
        silent.end()
    cause = "[Errno 107] Transport endpoint is not connected"
    assert str(error) == f"document store: {cause}: '{tmp_path}'; mount it again"


def failing(number: int, text: str) -> Callable[..., None]:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(number, text)

    return fail


@pytest.mark.parametrize(("place", "operation"), [(os, "fsync"), (Path, "chmod"), (Path, "replace")])
def test_an_unknown_fault_is_named_as_the_system_does(
    place: object, operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No disk here has damaged blocks."""
    monkeypatch.setattr(place, operation, failing(errno.EIO, "Input/output error"))
    error = refused(DirectoryStore(tmp_path, ""))
    assert str(error) == f"document store: [Errno 5] Input/output error: '{tmp_path}'; check its file system"
    assert list(tmp_path.iterdir()) == []


def test_a_document_whose_date_can_not_be_set_is_an_error_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be deleted too early. Only a file system without dates is no fault."""
    DirectoryStore(tmp_path, "").put(PDF, SHA256)
    monkeypatch.setattr(os, "utime", failing(errno.EIO, "Input/output error"))
    assert "Input/output error" in str(refused(DirectoryStore(tmp_path, "")))


def test_an_error_without_a_number_has_general_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError("broken")

    monkeypatch.setattr(os, "fsync", fail)
    assert str(refused(DirectoryStore(tmp_path, ""))).endswith("; check its file system")


def test_the_first_fault_is_named_if_the_partial_file_can_not_be_deleted_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO, "Input/output error"))
    monkeypatch.setattr(Path, "unlink", failing(errno.EROFS, "Read-only file system"))
    assert "Input/output error" in str(refused(DirectoryStore(tmp_path, "")))
    monkeypatch.undo()
    (partial,) = tmp_path.iterdir()
    assert partial.suffix == ".part", "the sweep deletes it later"


def test_a_deleted_folder_is_created_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "documents", "")
    store.put(PDF, SHA256)
    shutil.rmtree(tmp_path / "documents")
    store.put(PDF, SHA256)
    assert store.read(SHA256) == PDF


def test_a_document_that_is_missing_or_damaged_is_not_read(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path, "")
    assert store.read(SHA256) is None
    (tmp_path / f"{SHA256}.pdf").write_bytes(PDF[:100])
    assert store.read(SHA256) is None
    (tmp_path / f"{SHA256}.pdf").unlink()
    (tmp_path / f"{SHA256}.pdf").mkdir()
    assert store.read(SHA256) is None


def test_a_value_that_is_no_digest_is_not_looked_up(tmp_path: Path) -> None:
    """A digest of a missing store is an error; this value never gets that far."""
    assert DirectoryStore(tmp_path / "gone", "").read("../secret") is None


def test_others_may_read_a_document(tmp_path: Path) -> None:
    """The web server that serves the links may run as another user."""
    DirectoryStore(tmp_path, "").put(PDF, SHA256)
    assert (tmp_path / f"{SHA256}.pdf").stat().st_mode & 0o777 == 0o644


def test_a_store_that_fails_is_reported_to_readers_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as missing:
        DirectoryStore(tmp_path / "gone", "").read(SHA256)
    assert str(missing.value) == "the document store can't be read: No such file or directory"
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError) as replaced:
        DirectoryStore(tmp_path / "file", "").read(SHA256)
    assert str(replaced.value) == "the document store can't be read: Not a directory"
