"""Whose id stands in the PID file holds it: never two, and never a stranger's for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from render_trio.errors import FatalError
from render_trio.service import pid_file

HOLD = "import sys, time; from pathlib import Path; from render_trio.service import pid_file\n"
HOLD += "with pid_file.held(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


def test_it_is_there_while_held_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("123456789012345\n")  # left over
    with pid_file.held(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_second_one_is_refused_and_a_killed_one_s_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pid_file, "PATIENCE_SECONDS", 0.1)
    path = tmp_path / "pid"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(FatalError, match=f"process {first.pid} holds"), pid_file.held(path):
            raise AssertionError
        assert path.read_text() == f"{first.pid}\n", "the loser touches nothing"
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert path.exists()
    with pid_file.held(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_one_that_its_holder_removes_meanwhile_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pid_file.held(path):
        path.unlink()
        with pid_file.held(path):
            assert path.exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), pid_file.held(tmp_path / "gone" / "pid"):
        raise AssertionError
