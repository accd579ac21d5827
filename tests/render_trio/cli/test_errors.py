"""A user's mistake is reported as one line, with a documented exit code; a bug keeps its traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from emulator.settings import EmulatorSettings
from render_trio.cli import drawing, running
from render_trio.cli.commands import main
from render_trio.cli.errors import report_errors
from render_trio.errors import QueueRefusedError
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.service import logs, pid_file, process
from render_trio.settings import settings
from render_trio.settings.settings import Settings
from tests.conftest import ROOT
from tests.processes import environment, queue
from tests.render_trio.queue.producing import Inbox, document_result


@pytest.fixture(autouse=True)
def _own_process_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the commands from configuring logging and fault handling for the test's process."""
    monkeypatch.setattr(logs, "configure", lambda *arguments: None)
    monkeypatch.setattr(process.faulthandler, "enable", lambda: None)


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def invoke(*arguments: str, **environment: str) -> Result:
    names = [name for setting in settings.TABLE for name in (setting.name, setting.former)]
    return CliRunner().invoke(main, arguments, env=dict.fromkeys(names) | environment)


def assert_one_line(result: Result, code: int, *texts: str) -> None:
    assert isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == code
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("Error: ")
    for text in texts:
        assert text in lines[-1]
    if code == 1:
        assert len(lines) == 1


@pytest.mark.parametrize("command", ["render", "submit", "resources"])
def test_an_unknown_resource(command: str) -> None:
    options = ["--out", "x.pdf"] if command == "render" else []
    assert_one_line(invoke(command, "laundry", *options), 1, "resource_view is 'laundry'; allowed: ")


@pytest.mark.parametrize("command", ["render", "submit"])
@pytest.mark.parametrize(
    ("pair", "code", "message"),
    [
        ("copies=51", 1, "copies is '51'; allowed: a whole number from 1 to 50"),
        ("colour=red", 1, "unknown option 'colour'"),
        ("copies", 2, "'copies' is not KEY=VALUE"),
    ],
)
def test_an_invalid_option_of_the_document(command: str, pair: str, code: int, message: str) -> None:
    options = ["--out", "x.pdf"] if command == "render" else []
    assert_one_line(invoke(command, "grid", "-o", pair, *options), code, message)


@pytest.mark.parametrize(
    "arguments", [("render", "grid", "--out"), ("demo", "--out"), ("up", "--queue-port", "0", "--port", "0", "--data")]
)
def test_a_path_that_can_not_be_created(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_one_line(invoke(*arguments, str(tmp_path / "file" / "x")), 1, str(tmp_path / "file"))


def test_a_folder_in_place_of_the_file_to_write(tmp_path: Path) -> None:
    assert_one_line(invoke("render", "grid", "--out", str(tmp_path)), 2, "is a directory")


@pytest.mark.parametrize("command", [("serve",), ("up",), ("submit", "grid"), ("results",)])
def test_an_invalid_setting(command: tuple[str, ...], tmp_path: Path) -> None:
    options = ("--data", str(tmp_path)) if command == ("up",) else ()
    assert_one_line(invoke(*command, *options, TASK_COUNT="0"), 1, "TASK_COUNT is '0'; allowed: ")
    assert_one_line(invoke("serve", "--port", "x"), 1, "PORT is 'x'; allowed: ")


@pytest.mark.parametrize(
    ("value", "legacy"),
    [("1", True), ("yes", True), ("TRUE", True), ("on", True), ("0", False), ("no", False), ("", False)],
)
def test_up_reads_the_variables_of_the_queue(
    value: str, legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[EmulatorSettings] = []

    async def start(chosen: Settings, queue_settings: EmulatorSettings, signals: object) -> None:
        started.append(queue_settings)

    monkeypatch.setattr(running, "_run_both", start)
    variables = {"EMULATOR_LEGACY_SHAPES": value, "EMULATOR_KEEP_ALIVE_SECONDS": "99"}
    assert invoke("up", "--data", str(tmp_path), **variables).exit_code == 0
    assert (started[0].legacy_shapes, started[0].keep_alive_seconds) == (legacy, 99)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("EMULATOR_LEGACY_SHAPES", "maybe", "'maybe' is not a valid boolean"),
        ("EMULATOR_KEEP_ALIVE_SECONDS", "4", "4 is not in the range 5<=x<=3600"),
        ("EMULATOR_KEEP_ALIVE_SECONDS", "3601", "3601 is not in the range 5<=x<=3600"),
        ("EMULATOR_KEEP_ALIVE_SECONDS", "nan", "'nan' is not a valid integer range"),
    ],
)
@pytest.mark.parametrize("command", ["up", "emulator"])
def test_an_invalid_variable_of_the_queue(command: str, name: str, value: str, allowed: str) -> None:
    assert_one_line(invoke(command, **{name: value}), 2, name, allowed)


def test_a_port_in_use(busy_port: int, tmp_path: Path) -> None:
    cause = f" is {busy_port}: port {busy_port} is in use by another program; stop it or choose another "
    assert_one_line(invoke("serve", PORT=str(busy_port)), 1, f"PORT{cause}PORT")
    assert_one_line(invoke("preview", "grid", "--port", str(busy_port)), 1, f"--port{cause}--port")
    store = ("--store", f"sqlite:///{tmp_path / 'other.sqlite3'}")
    emulator = ("emulator", *store, "--port", str(busy_port))
    assert invoke(*emulator).stderr.splitlines()[1:] == [f"Error: --port{cause}--port"]
    assert invoke(*emulator, "--processes", "2").stderr.splitlines()[1:] == [f"Error: --port{cause}--port"]
    up = ("up", "--data", str(tmp_path), "--queue-port")
    assert_one_line(invoke(*up, "0", "--port", str(busy_port)), 1, f"PORT{cause}PORT")
    assert_one_line(invoke(*up, str(busy_port), "--port", "0"), 1, f"--queue-port{cause}--queue-port")


def test_a_host_that_is_not_of_this_machine() -> None:
    cause = "this machine has no such address; set one of its own, or 0.0.0.0 for all"
    assert_one_line(invoke("serve", "--port", "0", HOST="192.0.2.1"), 1, f"HOST is '192.0.2.1': {cause}")
    assert_one_line(invoke("serve", HOST="nowhere.invalid"), 1, "HOST is 'nowhere.invalid': the name has no address")


def test_the_queue_s_host_is_not_of_this_machine(tmp_path: Path) -> None:
    emulator = ("emulator", "--store", f"sqlite:///{tmp_path / 'queue.sqlite3'}", "--port", "0", "--host")
    for host, cause in {
        "192.0.2.1": "this machine has no such address",
        "no.invalid": "the name has no address",
    }.items():
        error = invoke(*emulator, host)
        assert error.exit_code == 1
        assert error.stderr.splitlines()[1].startswith(f"Error: --host is '{host}': {cause}; set ")


def test_a_pid_file_that_can_not_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pid_file, "PATIENCE_SECONDS", 0.05)
    path = tmp_path / "pid"
    with pid_file.held(path):
        assert_one_line(invoke("serve", PID_FILE=str(path)), 1, f"PID_FILE is '{path}'", "already running")
    assert_one_line(
        invoke("serve", PID_FILE=str(path / "none")), 1, f"PID_FILE is '{path / 'none'}': it can't be written: No"
    )


def test_a_queue_file_that_is_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite3").write_text("not a database" * 100)
    assert_one_line(invoke("up", "--data", str(tmp_path), "--port", "0", "--queue-port", "0"), 1, "queue.sqlite3")


@pytest.mark.parametrize("command", [("submit", "grid"), ("results",)])
def test_a_queue_that_can_not_be_reached(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("render_trio.queue.task_queue.connection.ATTEMPTS", 1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        result = invoke(*command, QUEUE_URL=url)
    assert_one_line(result, 1, f"the queue at {url}")


@pytest.mark.parametrize("command", [("submit", "grid"), ("results",)])
def test_a_request_that_the_queue_rejects(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    async def reject(*arguments: object, **options: object) -> None:
        raise QueueRefusedError("the queue refused POST /tasks: 403 no")

    monkeypatch.setattr(TaskQueue, "lease", reject)
    monkeypatch.setattr(TaskQueue, "submit", reject)
    assert_one_line(invoke(*command), 1, "403 no")


def test_results_that_can_not_be_written(tmp_path: Path) -> None:
    """The result stays on the queue, and is fetched by the next command."""
    (tmp_path / "file").touch()
    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        Inbox(running.address, "render").put(document_result())
        assert_one_line(invoke("results", "--out", str(tmp_path / "file" / "x"), QUEUE_URL=running.address), 1, "x")
        fetched = invoke("results", "--out", str(tmp_path / "out"), QUEUE_URL=running.address)
        assert fetched.exit_code == 0
    assert (tmp_path / "out" / "Grid (a4).pdf").is_file()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("washing",), 2), (("render", "grid"), 2), (("submit",), 2), (("demo", "--out"), 2), (("up", "--port", "x"), 2)],
)
def test_wrong_usage_has_exit_code_2(arguments: tuple[str, ...], code: int) -> None:
    result = invoke(*arguments)
    assert result.exit_code == code
    assert "Error: " in result.stderr


def test_a_former_setting_name_is_accepted_as_variable_and_option(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[Any] = []

    def serve(settings: Any) -> int:
        chosen.append(settings)
        return 0

    monkeypatch.setattr(process, "main", serve)
    assert invoke("serve", "--web-shelf", "1 MiB").exit_code == 0
    assert invoke("serve", WEB_SHELF="1 MiB").exit_code == 0
    assert [settings.web_cache for settings in chosen] == [1024 * 1024] * 2
    assert all(len(settings.notices) == 1 for settings in chosen)
    assert "--web-shelf" not in invoke("serve", "--help").output


@pytest.mark.parametrize("bug", [ValueError("bug"), TypeError("bug"), ExceptionGroup("nursery", [KeyError("bug")])])
def test_a_bug_is_not_reported_as_one_line(bug: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise bug

    monkeypatch.setattr(drawing, "render_document", fail)
    result = invoke("render", "grid", "--out", "x.pdf")
    assert result.exception is bug or (isinstance(bug, ExceptionGroup) and isinstance(result.exception, ExceptionGroup))
    assert not isinstance(result.exception, SystemExit)


def test_a_bug_beside_an_expected_error_is_not_hidden() -> None:
    @report_errors()
    def command() -> None:
        raise ExceptionGroup("nursery", [QueueRefusedError("no"), ValueError("bug")])

    with pytest.raises(ExceptionGroup) as raised:
        command()
    assert raised.value.subgroup(ValueError) is not None


def test_an_os_error_is_expected_only_where_it_is_named() -> None:
    def command() -> None:
        raise ExceptionGroup("nursery", [ExceptionGroup("nursery", [FileNotFoundError("no file")])])

    with pytest.raises(click.ClickException, match="no file"):
        report_errors(OSError)(command)()
    with pytest.raises(ExceptionGroup):
        report_errors()(command)()


def test_ctrl_c_inside_a_nursery_aborts_the_command() -> None:
    @report_errors()
    def command() -> None:
        raise BaseExceptionGroup("nursery", [KeyboardInterrupt()])

    with pytest.raises(click.Abort):
        command()


def test_a_bug_shows_its_traceback(tmp_path: Path) -> None:
    program = (
        "import sys; from render_trio.cli import commands, drawing\n"
        "def fail(*_, **__): raise ValueError('a bug')\n"
        "drawing.render_document = fail\n"
        "commands.main(['render', 'grid', '--out', sys.argv[1]])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "x.pdf")]
    ended = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Traceback")
    assert "ValueError: a bug" in ended.stderr
