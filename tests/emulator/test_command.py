"""The options of the command become the settings of the service."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from emulator import command
from emulator.settings import EmulatorSettings

FLAGS = ("--test-verbs", "--legacy-shapes")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[EmulatorSettings]:
    """The settings with which the service would have been started."""
    settings: list[EmulatorSettings] = []
    monkeypatch.setattr(command, "run", lambda chosen, announce: settings.append(chosen))
    return settings


def test_the_defaults_are_those_of_the_settings(started: list[EmulatorSettings]) -> None:
    assert CliRunner().invoke(command.main, []).exit_code == 0
    assert started == [EmulatorSettings()]


def test_every_setting_has_an_option(started: list[EmulatorSettings], tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.touch()
    arguments = ["--host", "::1", "--port", "0", "--store", "redis://r/1", "--processes", "2", "--queues", str(file)]
    arguments += ["--token-file", str(file), "--tombstone-seconds", "5", "--test-verbs", "--legacy-shapes"]
    arguments += ["--keep-alive-seconds", "6", "--allowed-hosts", "a, .b", "--trusted-proxies", "10.0.0.1,::1"]
    arguments += ["--root-path", "/q", "--max-queues", "7"]
    assert CliRunner().invoke(command.main, arguments).exit_code == 0
    more = {"allowed_hosts": ("a", ".b"), "trusted_proxies": ("10.0.0.1", "::1"), "root_path": "/q", "max_queues": 7}
    settings = EmulatorSettings("::1", 0, "redis://r/1", 2, str(file), str(file), 5, True, True, 6, **more)  # type: ignore[arg-type]
    assert started == [settings]
    # The same, from the environment.
    values = iter(arguments)
    environment = {
        f"EMULATOR_{name.removeprefix('--').replace('-', '_').upper()}": "1" if name in FLAGS else next(values)
        for name in values
    }
    assert CliRunner().invoke(command.main, [], env=environment).exit_code == 0
    assert started == [settings] * 2


def test_the_url_of_the_store_can_be_in_a_file(started: list[EmulatorSettings], tmp_path: Path) -> None:
    (tmp_path / "store").write_text("redis://:secret@r/1\n")
    file = str(tmp_path / "store")
    run = CliRunner().invoke
    assert run(command.main, ["--store-file", file]).exit_code == 0
    assert run(command.main, [], env={"EMULATOR_STORE_FILE": file}).exit_code == 0
    assert run(command.main, ["--store-file", file], env={"EMULATOR_STORE": "redis://x"}).exit_code == 0
    assert [settings.store for settings in started] == ["redis://:secret@r/1"] * 3
    run(command.main, ["--store", "redis://x"], env={"EMULATOR_STORE_FILE": file})
    assert started[-1].store == "redis://x"
    both = run(command.main, ["--store", "redis://x", "--store-file", file])
    assert (both.exit_code, "set one of them" in both.stderr) == (1, True)
    (tmp_path / "store").write_text("two words")
    empty = run(command.main, ["--store-file", file])
    assert (empty.exit_code, "contains no URL" in empty.stderr, "two words" in empty.stderr) == (1, True, False)
    assert "secret" not in repr(started[0])


@pytest.mark.parametrize(("value", "legacy"), [("1", True), ("0", False), ("", False)])
def test_the_environment_selects_the_legacy_shapes(started: list[EmulatorSettings], value: str, legacy: bool) -> None:
    CliRunner().invoke(command.main, [], env={"EMULATOR_LEGACY_SHAPES": value})
    assert [settings.legacy_shapes for settings in started] == [legacy]


def test_logging_is_configured_before_the_service_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(command, "run", lambda chosen, announce: calls.append("run"))
    CliRunner().invoke(command.create_command(lambda: calls.append("configure_logging")), [])
    assert calls == ["configure_logging", "run"]


def test_the_help_lists_the_options_in_order() -> None:
    names = [option.opts[0] for option in command.main.params]
    assert (names[:3], names[-1]) == (["--host", "--port", "--store"], "--legacy-shapes")


def test_an_invalid_store_is_reported_as_one_line() -> None:
    result = CliRunner().invoke(command.main, ["--port", "0", "--store", "mysql://x"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: store is 'mysql://x'; allowed: sqlite:///FILE")
