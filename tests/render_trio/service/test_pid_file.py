"""The PID file is locked by the process whose ID it contains: never by two, and a stale one is taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from render_trio.errors import StartupError
from render_trio.service import pid_file

HOLD = "import sys, time; from pathlib import Path; from render_trio.service import pid_file\n"
HOLD += "with pid_file.held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_it_exists_while_held_and_is_deleted_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("123456789012345\n")  # stale
    with pid_file.held(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_second_process_is_refused_and_the_file_of_a_killed_process_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pid_file, "PATIENCE_SECONDS", 0.1)
    path = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(StartupError, match=f"locked by process {first.pid}"), pid_file.held(path):
            raise AssertionError
        assert path.read_text() == f"{first.pid}\n", "the second process must not change the file"
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert path.exists()
    with pid_file.held(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_file_that_is_deleted_while_held_is_created_again(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pid_file.held(path):
        path.unlink()
        with pid_file.held(path):
            assert path.exists()


@pytest.mark.parametrize("content", ["RENDER_WORKERS=2\n", "123 456\n", "12345678901234567890\n1"])
def test_a_file_with_other_content_is_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "settings"
    path.write_text(content)
    with pytest.raises(StartupError, match="contains something other than a process ID"), pid_file.held(path):
        raise AssertionError
    assert path.read_text() == content


def test_an_empty_file_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.touch()
    with pid_file.held(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=r"PID_FILE is .*: No such file"), pid_file.held(tmp_path / "gone" / "pid"):
        raise AssertionError
