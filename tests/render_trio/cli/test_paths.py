"""A path that can't be used: one line with the option, the value and the cause, whatever the command."""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from render_trio.cli.errors import PathError, naming
from render_trio.settings.reading import read
from render_trio.settings.setting import SettingError
from tests.conftest import ROOT
from tests.emulator.stores.sqlite.faulty import FILLER, fill
from tests.other_user import AS_OTHER_USER, ROOT_HERE
from tests.processes import environment
from tests.small_disk import mounted

NOWHERE = "http://127.0.0.1:1"
LONG = "x" * 300

# option, exit code if the path is a file, and the rest of the command. None: a file is what the option expects.
COMMANDS = {
    "up": ("--data", 2, ("--port", "0", "--queue-port", "0")),
    "demo": ("--out", 2, ()),
    "render": ("--out", None, ("grid",)),
    "results": ("--out", 2, ()),
    "new": ("--into", 2, ("My Cards",)),
    "submit": ("--stale", 2, ()),
    "serve pid-file": ("--pid-file", None, ("--port", "0")),
    "serve document-store": ("--document-store", 1, ("--port", "0")),
    "serve static-directory": ("--static-directory", 1, ("--port", "0")),
    "serve template-directory": ("--template-directory", 1, ("--port", "0")),
    "emulator": ("--store", None, ("--port", "0")),
    "emulator queues": ("--queues", None, ("--port", "0", "--store", "sqlite:///:memory:")),
    "emulator token-file": ("--token-file", None, ("--port", "0", "--store", "sqlite:///:memory:")),
}
MUST_EXIST = ("submit", "emulator queues", "emulator token-file")  # checked by click: wrong usage
NOTICE = "no --token-file: queues are open"  # the queue prints it at its start


def run(command: str, path: str, prefix: tuple[str, ...] = ()) -> tuple[int, list[str]]:
    """Run a command with the path; return the exit code and the lines of stderr, without the notice and the usage."""
    option, _, rest = COMMANDS[command]
    value = f"sqlite:///{path}" if option == "--store" else path
    arguments = [command.partition(" ")[0], *rest, option, value]
    ended = subprocess.run(
        [*prefix, sys.executable, "-m", "render_trio", *arguments],
        env=environment(
            QUEUE_URL=NOWHERE, PYTHONPATH=str(ROOT), PYTHONDONTWRITEBYTECODE="1", COVERAGE_PROCESS_CONFIG=""
        ),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stdout == ""
    lines = [line for line in ended.stderr.splitlines() if not line.startswith(NOTICE)]
    if ended.returncode == 2:
        assert lines[0].startswith("Usage: render-trio ")
        lines = lines[3:]
    return ended.returncode, lines


def assert_named(command: str, path: str, code: int, lines: list[str], *causes: str) -> None:
    option = COMMANDS[command][0]
    setting = option.removeprefix("--").replace("-", "_").upper()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    if command != "emulator":  # the store is named by its file
        assert option in lines[0] or setting in lines[0]
    assert path[:100] in lines[0]
    assert any(cause in lines[0] for cause in causes), lines[0]
    assert code == (2 if command in MUST_EXIST else 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_path_below_a_file(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = str(tmp_path / "file" / "x")
    code, lines = run(command, path)
    assert_named(command, path, code, lines, "Not a directory", "File exists", "does not exist", "no such folder")
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_that_is_too_long(command: str, tmp_path: Path) -> None:
    path = str(tmp_path / LONG)
    code, lines = run(command, path)
    assert_named(command, path, code, lines, "File name too long", "does not exist", "no such folder")
    assert len(lines[0]) < 700
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_nobody_can_write_to(command: str) -> None:
    path = "/proc/nowhere"
    code, lines = run(command, path)
    assert_named(command, path, code, lines, "No such file", "does not exist", "no such folder")


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in MUST_EXIST])
def test_a_name_with_a_line_break(command: str) -> None:
    code, lines = run(command, "/proc/no\nwhere")
    assert (code, len(lines)) == (1, 1)
    assert "no\\nwhere" in lines[0] or "no where" in lines[0]


@pytest.mark.parametrize("command", [name for name, (_, code, _) in COMMANDS.items() if code is not None])
def test_a_file_in_place_of_a_folder(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    code, lines = run(command, str(tmp_path / "file"))
    assert code == COMMANDS[command][1]
    assert len(lines) == 1
    assert str(tmp_path / "file") in lines[0]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", ["render", "serve pid-file", "emulator", "emulator queues", "emulator token-file"])
def test_a_folder_in_place_of_a_file(command: str, tmp_path: Path) -> None:
    code, lines = run(command, str(tmp_path))
    assert code == (1 if command in ("serve pid-file", "emulator") else 2)
    assert len(lines) == 1
    assert str(tmp_path) in lines[0]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in MUST_EXIST and "directory" not in name])
def test_a_folder_of_another_user(command: str) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's folders can't be read by other users
        Path(place).chmod(0o755)
        folder = Path(place, "theirs")
        folder.mkdir(mode=0o755 if ROOT_HERE else 0o555)
        _check_folder_of_another_user(command, folder)


def _check_folder_of_another_user(command: str, folder: Path) -> None:
    is_file = COMMANDS[command][1] is None
    path = str(folder / "file") if is_file else str(folder)
    if command == "new":  # a folder with this name may exist, if it is empty
        path = str(folder / "package")
    code, lines = run(command, path, AS_OTHER_USER)
    assert_named(command, path, code, lines, "Permission denied", "may not write", "make its folder writable")
    assert list(folder.iterdir()) == []


def test_a_folder_of_plug_ins_with_a_name_that_is_too_long() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "render_trio", "--plugins", LONG, "resources"],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(
        f"Error: Invalid value for --plugins: '{'x' * 200}' can't be read: "
    )
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("name", ["PID_FILE", "DOCUMENT_STORE", "STATIC_DIRECTORY", "TEMPLATE_DIRECTORY"])
@pytest.mark.parametrize("value", ["a\0b", "file:///a%00b"])
def test_a_nul_byte_in_a_path_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"^{name} is "):
        read({name: value})


def test_a_long_value_is_shortened() -> None:
    for length, shown in ((200, "x" * 200), (201, "x" * 199 + "…")):
        with pytest.raises(PathError) as raised, naming("--data", Path("x" * length)):
            raise OSError(errno.EACCES, "Permission denied")
        assert str(raised.value).startswith(f"--data is '{shown}': it can't be used: Permission denied; choose ")


def test_a_document_that_does_not_fit_on_the_disk_leaves_the_one_before(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        out = disk / "grid.pdf"
        out.write_bytes(b"the document before")
        fill(disk)
        code, lines = run("render", str(out))
        assert code == 1
        assert_named("render", str(out), code, lines, "No space left on device")
        assert out.read_bytes() == b"the document before"
        assert sorted(path.name for path in disk.iterdir()) == sorted([out.name, FILLER])


def test_a_document_can_be_written_to_a_pipe_and_through_a_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "render_trio", "render", "grid", "--out"]
    piped = subprocess.run([*command, "/dev/stdout"], cwd=ROOT, env=environment(), capture_output=True, check=True)
    assert piped.stdout.startswith(b"%PDF-")
    assert piped.stdout.rstrip().endswith(b"%%EOF")
    (tmp_path / "link.pdf").symlink_to(tmp_path / "grid.pdf")
    subprocess.run([*command, tmp_path / "link.pdf"], cwd=ROOT, env=environment(), capture_output=True, check=True)
    assert (tmp_path / "link.pdf").is_symlink()
    assert (tmp_path / "grid.pdf").read_bytes() == piped.stdout
