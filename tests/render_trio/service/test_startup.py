"""What keeps the service from starting is reported as one line, with the setting, its value and the cause."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT
from tests.other_user import AS_OTHER_USER, OWN_NETWORK, USER
from tests.processes import environment, queue, start_service


def serve(*prefix: str, **settings: str | int) -> subprocess.CompletedProcess[str]:
    """Start the service with a command until it exits."""
    command = [*prefix, sys.executable, "-m", "render_trio", "serve"]
    variables = environment(**settings)
    if prefix:  # another user can't write what coverage measures, and coverage would report that on stderr
        variables.pop("COVERAGE_PROCESS_CONFIG", None)
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)


def only_line(run: subprocess.CompletedProcess[str]) -> str:
    """Return the only line on stderr of a command that could not start."""
    assert (run.returncode, run.stdout) == (1, ""), run.stderr
    (line,) = run.stderr.splitlines()
    return line


def test_a_privileged_port() -> None:
    line = only_line(serve(*OWN_NETWORK, *AS_OTHER_USER, PORT=80))
    assert line.startswith("Error: PORT is 80: this user may not listen on port 80 (ports below 1024 need a privilege)")


@pytest.mark.parametrize("inner", ["", "inner"])
def test_a_document_folder_that_may_not_be_written_to(inner: str, tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir(mode=0o555)
    line = only_line(serve(*AS_OTHER_USER, PORT=0, DOCUMENT_STORE=str(folder), BUCKET_SAVE_DIRECTORY=inner))
    reason = "it can't be created: Permission denied" if inner else f"user {USER} may not write to it"
    assert line == (
        f"Error: DOCUMENT_STORE: {str(folder / inner)!r}: {reason}; set a folder that this user may write to"
    )


def test_a_file_in_place_of_the_document_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = only_line(serve(PORT=0, DOCUMENT_STORE=str(tmp_path / "file" / "documents")))
    assert "it can't be created: Not a directory" in line


@pytest.mark.parametrize(("name", "packaged"), [("STATIC_DIRECTORY", "static"), ("TEMPLATE_DIRECTORY", "templates")])
def test_a_folder_that_lacks_files(name: str, packaged: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(ROOT / packaged, own)
    files = sorted(path.relative_to(own).as_posix() for path in own.rglob("*") if path.is_file())
    needed = [file for file in files if file.startswith(("artwork/", "pixels/", "sheets/", "web/"))]
    for file in needed[3:8]:
        (own / file).unlink()
    line = only_line(serve(**{"PORT": 0, name: str(own)}))
    listed = f"{', '.join(needed[3:6])} and 2 more"
    assert line == (
        f"Error: {name} is {str(own)!r}: it lacks {listed}, or they can't be read; copy them from the packaged folder"
    )
    assert only_line(serve(**{"PORT": 0, name: str(tmp_path / "none")})) == (
        f"Error: {name} is {str(tmp_path / 'none')!r}: there is no such folder; correct the path"
    )


def test_files_that_vanish_are_reported_until_they_are_there_again(tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(ROOT / "static", own)
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running_queue:
        service = start_service(running_queue.address, tmp_path / "log", STATIC_DIRECTORY=str(own))
        try:
            with httpx.Client(base_url=service.address, trust_env=False) as client:
                _wait_for(lambda: client.get("/readyz").status_code == 200)
                (own / "pixels").rename(own / "moved")
                _wait_for(lambda: client.get("/readyz").status_code == 503)
                cause = f"STATIC_DIRECTORY is {str(own)!r}: it lacks pixels/"
                assert client.get("/readyz").json()["status"].startswith(cause)
                health = client.get("/health")
                assert (health.status_code, health.json()["reasons"]) == (503, [health.json()["missing_files"]])
                (own / "moved").rename(own / "pixels")
                _wait_for(lambda: client.get("/readyz").status_code == 200)
                assert client.get("/health").status_code == 200
        finally:
            assert service.end() == 0


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
