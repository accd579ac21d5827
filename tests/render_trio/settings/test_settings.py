"""Settings are read once, checked at the edge, and a bad one is told in one line."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from render_trio.settings import settings
from render_trio.settings.cpus import allowed_cpus, cgroup_quota
from render_trio.settings.settings import SettingError, Settings


def test_without_any_variable_the_defaults_of_the_table_hold() -> None:
    assert settings.read({}) == Settings()
    assert Settings().task_count == 20
    assert Settings().task_seconds == 50.0
    assert Settings().task_time_mult == 1.33
    assert Settings().task_retry_limit == 5
    assert (Settings().port, Settings().render_isolation) == (8080, "thread")
    assert Settings().max_queue_task_size == 680 * 1024
    assert Settings().document_store is None


def test_every_default_is_itself_an_allowed_value() -> None:
    for setting in settings.TABLE:
        assert setting.read(setting.default) == getattr(Settings(), setting.field), setting.name


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_an_option_wins_over_the_environment_and_an_empty_variable_counts_as_absent() -> None:
    environment = {"TASK_COUNT": "7", "PORT": "", "QUEUE_NAME": "a-queue"}
    read = settings.read(environment, {"task_count": "9", "queue_name": None})
    assert (read.task_count, read.port, read.queue_name) == (9, 8080, "a-queue")


def test_an_empty_option_clears_what_the_environment_says() -> None:
    assert settings.read({"DOCUMENT_STORE": "/srv"}, {"document_store": ""}).document_store is None


@pytest.mark.parametrize(
    ("text", "size"),
    [("680 KiB", 696_320), ("1024", 1024), ("2kB", 2000), ("0.5 MiB", 524_288), (" 700 kib ", 716_800)],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert settings.read({"MAX_QUEUE_TASK_SIZE": text}).max_queue_task_size == size


@pytest.mark.parametrize(("text", "seconds"), [("90", 90.0), ("1500 ms", 1.5), ("2min", 120.0), ("1 h", 3600.0)])
def test_times_are_read_with_their_units(text: str, seconds: float) -> None:
    assert settings.read({"TASK_SECONDS": text}).task_seconds == seconds


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "http"),
        ("PORT", "²"),
        ("TASK_COUNT", "0"),
        ("TASK_COUNT", "1e3"),
        ("TASK_SECONDS", "nan"),
        ("TASK_SECONDS", "-1"),
        ("TASK_SECONDS", "5 parsecs"),
        ("TASK_TIME_MULT", "inf"),
        ("MAX_QUEUE_TASK_SIZE", "2 MiB"),
        ("RENDER_ISOLATION", "greenlet"),
        ("RENDER_WORKERS", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("QUEUE_URL", "localhost:5052"),
        ("QUEUE_URL", "http://"),
        ("QUEUE_URL", "http://host:port"),
        ("QUEUE_NAME", "a queue"),
        ("PROJECT_NAME", "a/b"),
        ("BUCKET_SAVE_DIRECTORY", "../up"),
        ("BUCKET_SAVE_DIRECTORY", "/rooted"),
        ("DOCUMENT_STORE", "s3://bucket"),
        ("DOCUMENT_STORE", "file://elsewhere/folder"),
        ("CLOUD_STORAGE_BUCKET_NAME", "A Bucket"),
        ("METRICS", "perhaps"),
        ("HOST", "no host"),
    ],
)
def test_a_bad_value_names_the_variable_the_value_and_what_is_allowed(name: str, value: str) -> None:
    with pytest.raises(SettingError) as caught:
        settings.read({name: value})
    line = str(caught.value)
    allowed = next(setting.reader.allowed for setting in settings.TABLE if setting.name == name)
    assert line == f"{name} is {value!r}; allowed: {allowed}"
    assert "\n" not in line


def test_a_long_bad_value_is_shortened() -> None:
    with pytest.raises(SettingError) as caught:
        settings.read({"PORT": "9" * 10_000})
    assert len(str(caught.value)) < 120


@example("~0", "DOCUMENT_STORE")  # the home of a user that does not exist
@given(st.text(), st.sampled_from([setting.name for setting in settings.TABLE]))
def test_any_text_is_either_a_value_or_a_setting_error_in_one_line(text: str, name: str) -> None:
    told = ""
    try:
        settings.read({name: text})
    except SettingError as error:
        told = str(error)
    assert len(told.splitlines()) <= 1


def test_a_bad_setting_stops_the_start_with_one_line() -> None:
    command = [sys.executable, "-m", "render_trio", "serve"]
    ended = subprocess.run(command, env={"PORT": "x"}, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode != 0
    assert ended.stderr.strip() == "Error: PORT is 'x'; allowed: a whole number from 0 to 65535"


def test_a_misspelt_render_name_is_reported_with_the_nearest_known_one() -> None:
    read = settings.read({"RENDER_WORKRES": "3", "RENDER_WORKERS": "2", "HOME": "/"})
    assert read.notices == ("RENDER_WORKRES is not a setting; the nearest is RENDER_WORKERS",)


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingError, match="task_cuont"):
        settings.read({}, {"task_cuont": "3"})


def test_paths_may_be_file_addresses() -> None:
    assert settings.read({"DOCUMENT_STORE": "file:///srv/a%20b"}).document_store == Path("/srv/a b")


def test_the_markdown_table_has_a_row_for_every_setting() -> None:
    rows = settings.markdown_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [setting.name for setting in settings.TABLE]
    assert all(row.count("|") == 5 for row in rows)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_auto_workers_follow_the_control_groups_quota(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cgroup_quota(tmp_path) == quota
    assert allowed_cpus(tmp_path) >= 1
    if quota == 0.5:
        assert allowed_cpus(tmp_path) == 1


def test_a_secret_is_never_repeated() -> None:
    with pytest.raises(SettingError) as raised:
        settings.read({"ADMIN_TOKEN": "too-short"})
    assert "too-short" not in str(raised.value)
    assert "ADMIN_TOKEN is '(not shown)'; allowed: 16 to 200 printable ASCII characters" in str(raised.value)
    assert raised.value.__cause__ is None
