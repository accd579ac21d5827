"""Settings are read and checked once, at start; an invalid one is reported in one line."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from render_trio.settings import reading, settings
from render_trio.settings.cpus import allowed_cpus, cgroup_quota
from render_trio.settings.setting import SettingError
from render_trio.settings.settings import Settings
from scripts import reference_pages


def test_without_variables_settings_have_the_defaults_of_the_table() -> None:
    assert reading.read({}) == Settings()
    assert Settings().task_count == 20
    assert Settings().task_seconds == 50.0
    assert Settings().task_time_mult == 1.33
    assert Settings().task_retry_limit == 5
    assert (Settings().port, Settings().render_isolation) == (8080, "thread")
    assert Settings().max_queue_task_size == 680 * 1024
    assert Settings().document_store is None


def test_every_default_is_an_allowed_value() -> None:
    for setting in settings.TABLE:
        assert setting.read(setting.default) == getattr(Settings(), setting.field), setting.name


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_an_option_wins_over_a_variable_and_an_empty_variable_counts_as_not_set() -> None:
    environment = {"TASK_COUNT": "7", "PORT": "", "QUEUE_NAME": "a-queue"}
    read = reading.read(environment, {"task_count": "9", "queue_name": None})
    assert (read.task_count, read.port, read.queue_name) == (9, 8080, "a-queue")


def test_an_empty_option_overrides_a_variable() -> None:
    assert reading.read({"DOCUMENT_STORE": "/srv"}, {"document_store": ""}).document_store is None


@pytest.mark.parametrize(
    ("text", "size"),
    [("680 KiB", 696_320), ("1024", 1024), ("2kB", 2000), ("0.5 MiB", 524_288), (" 700 kib ", 716_800)],
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert reading.read({"MAX_QUEUE_TASK_SIZE": text}).max_queue_task_size == size


@pytest.mark.parametrize(("text", "seconds"), [("90", 90.0), ("1500 ms", 1.5), ("2min", 120.0), ("1 h", 3600.0)])
def test_times_are_read_with_their_units(text: str, seconds: float) -> None:
    assert reading.read({"TASK_SECONDS": text}).task_seconds == seconds


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
        ("BUCKET_SAVE_DIRECTORY", "/../up"),
        ("PORT", "http://10.0.0.1:5052"),
        ("DOCUMENT_STORE", "s3://bucket"),
        ("DOCUMENT_STORE", "file://elsewhere/folder"),
        ("CLOUD_STORAGE_BUCKET_NAME", "A Bucket"),
        ("METRICS", "perhaps"),
        ("HOST", "no host"),
        ("HOST", "a..b"),
        ("QUEUE_URL", "http://a..b:5052"),
        ("QUEUE_URL", "http://host\x01"),
        ("DOCUMENT_URL_PREFIX", "https://xn--"),
    ],
)
def test_an_invalid_value_is_reported_with_the_variable_and_the_allowed_values(name: str, value: str) -> None:
    with pytest.raises(SettingError) as caught:
        reading.read({name: value})
    line = str(caught.value)
    allowed = next(setting.reader.allowed for setting in settings.TABLE if setting.name == name)
    assert line == f"{name} is {value!r}; allowed: {allowed}"
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("/static/resources", "static/resources"),
        ("static/resources", "static/resources"),
        ("//static//resources/", "static/resources"),
        ("/", ""),
        ("./", ""),
    ],
)
def test_the_folder_in_the_bucket_may_begin_with_a_slash(text: str, value: str) -> None:
    """Older producers set /static/resources."""
    chosen = reading.read({"BUCKET_SAVE_DIRECTORY": text, "DOCUMENT_STORE": "/bucket"})
    assert chosen.bucket_save_directory == value
    assert chosen.document_store is not None
    assert (chosen.document_store / chosen.bucket_save_directory).is_relative_to("/bucket")


@pytest.mark.parametrize("name", [setting.name for setting in settings.TABLE])
def test_the_address_of_a_kubernetes_service_is_ignored(name: str) -> None:
    (notice,) = (read := reading.read({name: "tcp://10.0.0.1:5052"})).notices
    assert notice.startswith(f"{name} is ignored: 'tcp://10.0.0.1:5052' is the address of a Kubernetes Service")
    assert dataclasses.replace(read, notices=()) == settings.Settings()


def test_the_address_of_a_kubernetes_service_is_not_ignored_as_an_option() -> None:
    with pytest.raises(SettingError):
        reading.read({}, {"port": "tcp://10.0.0.1:5052"})


@pytest.mark.parametrize(
    "platform",
    [
        "x86_64-conda-linux-gnu",
        "x86_64-conda_cos6-linux-gnu",
        "aarch64-conda-linux-gnu",
        "powerpc64le-conda-linux-gnu",
        "x86_64-apple-darwin13.4.0",
        "arm64-apple-darwin20.0.0",
    ],
)
def test_a_host_that_conda_has_set_is_ignored(platform: str) -> None:
    read = reading.read({"HOST": platform})
    assert read.host == "127.0.0.1"
    assert read.notices == (f"HOST is ignored: {platform!r} is a compiler's platform, which conda sets",)


@pytest.mark.parametrize("host", ["arm64-builder", "web-1.linux.example.org", "x86-64.example.org"])
def test_a_host_that_resembles_a_platform_is_used(host: str) -> None:
    assert reading.read({"HOST": host}).host == host


@pytest.mark.parametrize("service", ["RENDER", "RENDER_TRIO"])
def test_the_variables_of_a_kubernetes_service_cause_no_warning(service: str) -> None:
    port = f"{service}_PORT_8080_TCP"
    link = "tcp://10.0.0.1:8080"
    variables = {
        f"{service}_SERVICE_HOST": "10.0.0.1",
        f"{service}_SERVICE_PORT": "8080",
        f"{service}_SERVICE_PORT_HTTP": "8080",
        f"{service}_PORT": link,
        port: link,
        f"{port}_PROTO": "tcp",
        f"{port}_PORT": "8080",
        f"{port}_ADDR": "10.0.0.1",
    }
    assert reading.read(variables).notices == ()


def test_a_long_invalid_value_is_shortened() -> None:
    with pytest.raises(SettingError) as caught:
        reading.read({"PORT": "9" * 10_000})
    assert len(str(caught.value)) < 120


@example("~0", "DOCUMENT_STORE")  # ~0 is the home of a user that does not exist
@given(st.text(), st.sampled_from([setting.name for setting in settings.TABLE]))
def test_any_text_is_either_a_value_or_a_setting_error_in_one_line(text: str, name: str) -> None:
    message = ""
    try:
        reading.read({name: text})
    except SettingError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1


def test_an_invalid_setting_prevents_startup_with_one_line() -> None:
    command = [sys.executable, "-m", "render_trio", "serve"]
    ended = subprocess.run(command, env={"PORT": "x"}, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode != 0
    assert ended.stderr.strip() == "Error: PORT is 'x'; allowed: a whole number from 0 to 65535"


def test_an_unknown_render_variable_is_reported_with_the_closest_name() -> None:
    read = reading.read({"RENDER_WORKRES": "3", "RENDER_WORKERS": "2", "HOME": "/"})
    assert read.notices == ("RENDER_WORKRES is not a setting; the closest name is RENDER_WORKERS",)


@pytest.mark.parametrize(
    ("environment", "options", "cache"),
    [
        ({"WEB_SHELF": "1 MiB"}, {}, 1),
        ({"WEB_SHELF": "1 MiB", "WEB_CACHE": "2 MiB"}, {}, 2),
        ({"WEB_SHELF": "1 MiB", "WEB_CACHE": ""}, {}, 1),
        ({"WEB_CACHE": "2 MiB"}, {"web_shelf": "3 MiB"}, 3),
        ({}, {"web_shelf": "3 MiB", "web_cache": "4 MiB"}, 4),
        ({}, {"web_shelf": "3 MiB", "web_cache": None}, 3),
        ({"WEB_SHELF": " "}, {"web_shelf": None}, 32),
    ],
)
def test_a_former_name_is_accepted_and_the_new_name_wins(
    environment: dict[str, str], options: dict[str, str | None], cache: int
) -> None:
    assert reading.read(environment, options).web_cache == cache * 1024 * 1024


def test_a_former_name_causes_one_warning() -> None:
    assert reading.read({"WEB_CACHE": "1 MiB", "WEB_SHELF": ""}, {"web_shelf": None}).notices == ()
    by_variable = reading.read({"WEB_SHELF": "1 MiB"}).notices
    assert by_variable == ("WEB_SHELF is now WEB_CACHE; the old name will stop working in 0.3",)
    by_option = reading.read({}, {"web_shelf": "1 MiB"}).notices
    assert by_option == ("--web-shelf is now --web-cache; the old name will stop working in 0.3",)


def test_an_invalid_value_of_a_former_name_is_reported_under_the_new_name() -> None:
    with pytest.raises(SettingError, match="WEB_CACHE is 'much'; allowed: a size"):
        reading.read({"WEB_SHELF": "much"})


def test_former_names_are_not_names_of_other_settings() -> None:
    names = [setting.name for setting in settings.TABLE]
    former = [setting.former for setting in settings.TABLE if setting.former]
    assert former
    assert len({*names, *former}) == len(names) + len(former)


def test_an_unknown_option_is_an_error() -> None:
    with pytest.raises(SettingError, match="task_cuont"):
        reading.read({}, {"task_cuont": "3"})


def test_a_path_can_be_a_file_url() -> None:
    assert reading.read({"DOCUMENT_STORE": "file:///srv/a%20b"}).document_store == Path("/srv/a b")


def test_the_markdown_table_has_a_row_for_every_setting() -> None:
    rows = reference_pages.settings_table().splitlines()[2:]
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
def test_the_number_of_cpus_follows_the_quota_of_the_control_group(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cgroup_quota(tmp_path) == quota
    assert allowed_cpus(tmp_path) >= 1
    if quota == 0.5:
        assert allowed_cpus(tmp_path) == 1


def test_a_message_never_contains_a_secret() -> None:
    with pytest.raises(SettingError) as raised:
        reading.read({"ADMIN_TOKEN": "too-short"})
    assert "too-short" not in str(raised.value)
    assert "ADMIN_TOKEN is '(not shown)'; allowed: 16 to 200 printable ASCII characters" in str(raised.value)
    assert raised.value.__cause__ is None
