"""Folders for the socket of the fork server: one that is in use is kept, one that a killed service left is deleted."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from multiprocessing import process
from pathlib import Path

import pytest

from render_trio.rendering.offload import socket_folder
from render_trio.rendering.offload.socket_folder import PREFIX, SOCKET_NAME, SOCKET_PATH, prepare, sweep


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The settings of multiprocessing, as if this process had no folder yet; temporary files are in tmp_path."""
    settings: dict[str, object] = {}
    monkeypatch.setattr(process.current_process(), "_config", settings)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(socket_folder, "SOCKET_PATH", 1000)  # the paths of tests are long
    return settings


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Check that a test leaves no descriptor open."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def folder_of(parent: Path, name: str = "left", mode: int = 0o700) -> Path:
    folder = parent / f"{PREFIX}{name}"
    folder.mkdir()
    folder.chmod(mode)
    (folder / "listener").touch()
    return folder


def test_the_folder_of_a_killed_process_is_deleted(tmp_path: Path, descriptors: None) -> None:
    left = folder_of(tmp_path)
    sweep(tmp_path)
    assert not left.exists()


def test_the_folder_of_a_running_process_is_kept(tmp_path: Path) -> None:
    used = folder_of(tmp_path)
    descriptor = os.open(used, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    sweep(tmp_path)
    assert used.exists()
    os.close(descriptor)
    sweep(tmp_path)
    assert not used.exists()


def test_what_is_not_ours_is_kept(tmp_path: Path, descriptors: None) -> None:
    other_name = tmp_path / "other"
    other_name.mkdir()
    kept = [
        other_name,
        folder_of(tmp_path, "shared", 0o755),
        folder_of(tmp_path, "sticky", 0o1700),
    ]
    file = tmp_path / f"{PREFIX}file"
    file.touch()
    target = tmp_path / "target"
    target.mkdir()
    link = tmp_path / f"{PREFIX}link"
    link.symlink_to(target)
    sweep(tmp_path)
    assert all(path.exists() for path in [*kept, file, link, target])


def test_the_folder_of_another_user_is_kept(tmp_path: Path, descriptors: None, monkeypatch: pytest.MonkeyPatch) -> None:
    other = folder_of(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: other.stat().st_uid + 1)
    sweep(tmp_path)
    assert other.exists()


def test_a_missing_parent_is_no_error(tmp_path: Path) -> None:
    sweep(tmp_path / "missing")


def test_preparing_makes_a_locked_folder_and_deletes_those_that_were_left(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    left = folder_of(tmp_path)
    prepare()
    assert not left.exists()
    made = Path(str(settings["tempdir"]))
    assert made.parent == tmp_path
    assert made.name.startswith(PREFIX)
    sweep(tmp_path)
    assert made.exists(), "this process is running, so no sweep may delete it"


def test_a_process_that_has_a_folder_keeps_it(tmp_path: Path, settings: dict[str, object]) -> None:
    settings["tempdir"] = "/kept"
    prepare()
    assert settings == {"tempdir": "/kept"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_path_that_is_too_long_for_a_socket_is_refused(
    surplus: int, tmp_path: Path, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    length = len(f"{tmp_path}/{PREFIX}xxxxxxxx{SOCKET_NAME}")
    monkeypatch.setattr(socket_folder, "SOCKET_PATH", length - surplus)
    if surplus:
        with pytest.raises(OSError, match="set TMPDIR to another folder") as error:
            prepare()
        assert error.value.filename == str(tmp_path)
        assert settings == {}
    else:
        prepare()
        assert len(f"{settings['tempdir']}{SOCKET_NAME}") == length


def test_the_limit_of_a_socket_path_is_the_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as longest:
        longest.bind("s" * SOCKET_PATH)
    with socket.socket(socket.AF_UNIX) as longer, pytest.raises(OSError, match="too long"):
        longer.bind("s" * (SOCKET_PATH + 1))


def test_a_folder_that_another_process_sweeps_away_at_once_is_replaced(
    tmp_path: Path, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making the folder and locking it, another process may take it for a stale one."""
    made: list[Path] = []
    make = tempfile.mkdtemp

    def make_and_sweep(*, dir: Path, prefix: str) -> str:
        made.append(Path(make(dir=dir, prefix=prefix)))
        if len(made) == 1:
            made[0].rmdir()
        return str(made[-1])

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_sweep)
    prepare()
    assert settings["tempdir"] == str(made[1])


def test_a_folder_that_is_deleted_just_before_it_is_locked_is_replaced(
    tmp_path: Path, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, deleted = fcntl.flock, list[Path]()

    def delete_and_lock(descriptor: int, operation: int) -> None:
        if not deleted:
            deleted.append(Path(f"/proc/self/fd/{descriptor}").readlink())
            deleted[0].rmdir()
        lock(descriptor, operation)

    monkeypatch.setattr(socket_folder.fcntl, "flock", delete_and_lock)
    before = open_descriptors()
    prepare()
    assert settings["tempdir"] != str(deleted[0])
    assert Path(str(settings["tempdir"])).is_dir()
    assert open_descriptors() == before + 1, "only the descriptor that holds the lock stays open"


def test_a_file_system_without_locks_is_no_error(
    tmp_path: Path, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(socket_folder.fcntl, "flock", refuse)
    left = folder_of(tmp_path)
    prepare()
    assert left.exists(), "it may be in use"
    assert Path(str(settings["tempdir"])).is_dir()
