"""What processes that are killed leave in folders is gone after the next start."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from emulator.stores.sqlite import reserve
from emulator.stores.sqlite.store import SqliteStore
from render_trio.queue import saving
from render_trio.rendering.offload.socket_folder import PREFIX
from tests.conftest import ROOT
from tests.emulator.stores.sqlite.test_versions import VERSION_2
from tests.processes import Running, children_of, environment, queue, render_trio, start_service

NOWHERE = "http://127.0.0.1:1"


def killed(program: str, *arguments: str, **settings: str) -> None:
    """Run a program that kills its own process with `die()`."""
    start = "import os, signal, sys\ndef die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
    ended = subprocess.run(
        [sys.executable, "-c", start + program, *arguments],
        env=environment(**settings),
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL


def age(path: Path, seconds: float) -> None:
    changed = time.time() - seconds
    os.utime(path, (changed, changed))


# -- the temporary folder


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a short path: that of a socket may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        yield Path(folder)


def drawing_service(temporary: Path, log: Path) -> Running:
    return start_service(
        NOWHERE, log, RENDER_ISOLATION="process", RENDER_WORKERS=1, TMPDIR=str(temporary), WEB_CACHE="0"
    )


def draws(service: Running) -> bool:
    response = httpx.get(f"{service.address}/resources/grid.pdf", trust_env=False, timeout=30)
    return response.content.startswith(b"%PDF")


def test_the_socket_of_a_killed_service_is_deleted_by_the_next_one(temporary: Path, tmp_path: Path) -> None:
    first = drawing_service(temporary, tmp_path / "log")
    (left,) = temporary.iterdir()
    assert left.name.startswith(PREFIX)
    first.end(signal.SIGKILL)
    assert list(temporary.iterdir()) == [left]
    second = drawing_service(temporary, tmp_path / "log")
    try:
        assert draws(second)
        (own,) = temporary.iterdir()
        assert own != left
    finally:
        assert second.end() == 0
    assert list(temporary.iterdir()) == []


def test_a_service_leaves_the_socket_of_a_running_one_alone(temporary: Path, tmp_path: Path) -> None:
    (temporary / "file").touch()
    (temporary / f"{PREFIX}file").touch()
    other = temporary / f"{PREFIX}shared"  # not made by a service, which makes folders that only their owner may use
    other.mkdir(mode=0o755)
    (temporary / f"{PREFIX}link").symlink_to(tmp_path)
    before = set(temporary.iterdir())
    first = drawing_service(temporary, tmp_path / "log")
    try:
        own = set(temporary.iterdir()) - before
        second = drawing_service(temporary, tmp_path / "log")
        try:
            assert set(temporary.iterdir()) > before | own
            (server,) = [child for child in children_of(first.process.pid) if children_of(child)]
            for child in children_of(server):
                os.kill(child, signal.SIGKILL)
            assert draws(first)  # in a new process, which was started over the socket
        finally:
            assert second.end() == 0
        assert set(temporary.iterdir()) == before | own
    finally:
        assert first.end() == 0
    assert set(temporary.iterdir()) == before


def test_a_folder_of_another_user_is_left_alone(temporary: Path, tmp_path: Path) -> None:
    other = temporary / f"{PREFIX}other"
    other.mkdir(mode=0o700)
    os.chown(other, 4321, 0)
    drawing_service(temporary, tmp_path / "log").end()
    assert list(temporary.iterdir()) == [other]


def test_a_demo_that_is_killed_leaves_nothing(temporary: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "render_trio", "demo", "--stay", "--out", str(tmp_path / "out")],
        env=environment(TMPDIR=str(temporary)),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process, process.stdout or sys.stdin as output:
        assert any(line.startswith("service: ") for line in output)
        process.kill()
    assert list(temporary.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_temporary_folder_with_a_long_path_is_named(temporary: Path, tmp_path: Path) -> None:
    longest = 107 - len("/rtrio-xxxxxxxx/listener-xxxxxxxx")
    for length in (longest, longest + 1):
        folder = temporary / ("x" * (length - len(str(temporary)) - 1))
        folder.mkdir()
        if length == longest:
            assert drawing_service(folder, tmp_path / "log").end() == 0
        else:
            ended = render_trio("serve", RENDER_ISOLATION="process", TMPDIR=str(folder), PORT="0")
            assert ended.returncode == 1
            cause = f"[Errno 36] the path is too long for a socket; set TMPDIR to another folder: '{folder}'"
            assert cause in ended.stderr
            assert "Traceback" not in ended.stderr
            assert list(folder.iterdir()) == []


# -- folders of documents


def test_a_partial_file_of_results_is_deleted_when_it_is_old(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        url = {"QUEUE_URL": running.address}
        service = start_service(running.address, tmp_path / "log")
        try:
            assert render_trio("submit", "grid", **url).returncode == 0
            killing = "from render_trio.cli.commands import main\nos.fsync = die\nmain(sys.argv[1:])"
            killed(killing, "results", "--out", str(out), "--wait", "60", **url)
            (left,) = out.glob(".*.part")
            young = out / left.name.replace(left.name[-8:-5], "abc")
            young.touch()
            others = [out / ".abcdefgh.part", out / f"{left.name}.pdf"]
            for path in others:
                path.touch()
                age(path, 2 * saving.PARTIAL_SECONDS)
            age(left, saving.PARTIAL_SECONDS + 5)
            age(young, saving.PARTIAL_SECONDS - 600)
            assert render_trio("submit", "grid", "-o", "copies=2", **url).returncode == 0
            assert render_trio("results", "--out", str(out), "--wait", "60", **url).returncode == 0
        finally:
            service.end()
    assert not left.exists()
    assert all(path.exists() for path in (young, *others))
    assert len([path for path in out.glob("*.pdf") if path not in others]) >= 1


# -- the folder of a store

OPEN = "from emulator.stores.sqlite import reserve, schema, store\n{patch}\nstore.SqliteStore(sys.argv[1])"


def test_a_partial_reserve_is_deleted_when_it_is_old(tmp_path: Path) -> None:
    file = tmp_path / "queue.sqlite3"
    killed(OPEN.format(patch="reserve.Path.replace = die"), str(file))
    (left,) = tmp_path.glob("*-reserve.*")
    young = left.with_suffix(".99999999")
    young.touch()
    others = [left.with_suffix(".99999999.bak"), tmp_path / "other.sqlite3-reserve.1"]
    for path in (left, *others):
        path.touch()
        age(path, reserve.PARTIAL_SECONDS + 5)
    age(young, reserve.PARTIAL_SECONDS - 20)
    with closing(SqliteStore(file)):
        assert not left.exists()
        assert all(path.exists() for path in (young, *others))
        assert reserve.Reserve(file).exists


@pytest.mark.parametrize(
    "patch",
    ["schema.os.fsync = die", "schema.Path.replace = die", "schema.log.warning = die", "schema.Path.unlink = die"],
    ids=["copied", "before renaming", "migrated", "at the start"],
)
def test_a_migration_that_is_killed_leaves_one_backup(patch: str, tmp_path: Path) -> None:
    file = tmp_path / "queue.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(VERSION_2)
    killed(OPEN.format(patch=patch), str(file))
    for name in ("part", "part-journal"):
        with (tmp_path / f"queue.sqlite3.backup-v2.{name}").open("ab") as left:
            left.write(b"torn" * 999)
    with closing(SqliteStore(file)):
        pass
    assert [path.name for path in tmp_path.glob("*.backup*")] == ["queue.sqlite3.backup-v2"]
