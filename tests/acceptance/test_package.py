"""The distribution: a wheel that works from any folder, and the scripts that containers run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.checkout import copy_checkout
from tests.conftest import ROOT

ENTRYPOINT = ROOT / "scripts" / "docker-entrypoint.sh"


@pytest.fixture(scope="module")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the files in git, and unpack it as an installer does."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copy_checkout(folder / "source")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_draws_and_serves_from_any_folder(unpacked_wheel: Path, tmp_path: Path) -> None:
    code = (
        "import emulator, render_trio, resources, sys; from render_trio.cli.commands import main\n"
        f"assert all(m.__file__.startswith({str(unpacked_wheel)!r}) for m in (emulator, render_trio, resources))\n"
        "main(['demo', '--out', 'out'])"
    )
    environment = os.environ | {"PYTHONPATH": str(unpacked_wheel)}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    from resources.registry import CATALOGUE

    assert len(list((tmp_path / "out").glob("*.pdf"))) == len(CATALOGUE)


def test_the_wheel_contains_every_data_file_and_no_tests(unpacked_wheel: Path) -> None:
    names = {str(path.relative_to(unpacked_wheel)) for path in unpacked_wheel.rglob("*") if path.is_file()}
    assert "resources/static/artwork/animals/cat.svg" in names
    assert "resources/templates/web/base.html" in names
    assert "emulator/stores/redis/lua/lease.lua" in names
    assert "emulator/api_data/taskqueue_v1beta2.json" in names
    assert {"emulator/PROTOCOL.md", "emulator/pages/templates/queue.html", "emulator/pages/static/queues.css"} <= names
    assert {"emulator/py.typed", "render_trio/py.typed", "resources/py.typed"} <= names
    assert not [name for name in names if name.startswith(("tests/", "scripts/"))]


def container(tmp_path: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    """Run the entrypoint as a container does, with `render-trio` on the PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "render-trio"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m render_trio "$@"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)} | settings
    return subprocess.Popen(
        [str(ENTRYPOINT), *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def line_with(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        found = re.search(pattern, line)
        if found:
            return found
    raise AssertionError("".join(seen))


def test_the_entrypoint_serves_by_default_and_forwards_signals(tmp_path: Path) -> None:
    with container(tmp_path, PORT="0", PID_FILE=str(tmp_path / "pid")) as process:
        line_with(process, r'"event": "started"')
        assert int((tmp_path / "pid").read_text()) == process.pid, "the entrypoint must exec the service"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=40)
        assert process.returncode == 0


def test_the_entrypoint_starts_the_queue(tmp_path: Path) -> None:
    settings = {"QUEUE_PORT": "0", "HOST": "127.0.0.1", "STORE": f"sqlite:///{tmp_path / 'q.sqlite3'}"}
    with container(tmp_path, "emulator", **settings) as process:
        line_with(process, r"listening on http://127\.0\.0\.1:\d+")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0


def test_the_entrypoint_ignores_the_address_of_a_kubernetes_service(tmp_path: Path) -> None:
    with container(
        tmp_path,
        "emulator",
        "--port",
        "0",
        QUEUE_PORT="tcp://10.0.0.1:5052",
        HOST="127.0.0.1",
        STORE=f"sqlite:///{tmp_path / 'q.sqlite3'}",
    ) as process:
        line_with(process, "QUEUE_PORT is ignored: 'tcp://10.0.0.1:5052'")
        line_with(process, r"listening on http://127\.0\.0\.1:\d+")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        assert process.returncode == 0


def test_the_pre_emption_hook_stops_the_service_and_waits(tmp_path: Path) -> None:
    hook = ROOT / "scripts" / "shutdown-script.sh"
    with container(tmp_path, PORT="0", PID_FILE=str(tmp_path / "pid")) as process:
        line_with(process, r'"event": "started"')
        assert subprocess.run([str(hook), str(tmp_path / "pid"), "20"], check=False).returncode == 0
        process.communicate(timeout=40)
        assert process.returncode == 0
    assert subprocess.run([str(hook), str(tmp_path / "pid")], check=False, capture_output=True).returncode == 0


def test_the_pre_emption_hook_signals_no_other_process(tmp_path: Path) -> None:
    """The service was killed, and another process now has its ID."""
    with subprocess.Popen(["sleep", "60"]) as other:
        (tmp_path / "pid").write_text(f"{other.pid}\n")
        hook = [str(ROOT / "scripts" / "shutdown-script.sh"), str(tmp_path / "pid")]
        ended = subprocess.run(hook, check=False, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        assert "stale" in ended.stderr
        assert other.poll() is None
        other.kill()


def test_a_change_of_code_restarts_the_command(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "restart-on-change"
    script.write_bytes((ROOT / "scripts" / "restart-on-change").read_bytes())
    (tmp_path / "render_trio").mkdir()
    code = tmp_path / "render_trio" / "x.py"
    code.write_text("")
    command = [sys.executable, str(script), sys.executable, "-uc", "print('up'); import time; time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line_with(process, "^up")
        later = time.time() + 5
        os.utime(code, (later, later))
        line_with(process, "(?i)restarting")
        line_with(process, "^up")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
