"""Settings: read once, checked, and told in one line when wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest

from render_trio import settings
from render_trio.settings import SettingError


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "eighty", "PORT is 'eighty'; allowed: a whole number from 0 to 65535"),
        ("TASK_SECONDS", "0", "TASK_SECONDS is '0'; allowed: seconds from 1"),
        ("RENDER_ISOLATION", "fork", "RENDER_ISOLATION is 'fork'; allowed: thread or process"),
        ("QUEUE_URL", "queue:5052", "QUEUE_URL is 'queue:5052'; allowed: an address that begins with http"),
        ("MAX_QUEUE_TASK_SIZE", "1 TB", "MAX_QUEUE_TASK_SIZE is '1 TB'; allowed: a size from"),
        ("BUCKET_SAVE_DIRECTORY", "../up", "BUCKET_SAVE_DIRECTORY is '../up'"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        settings.read({name: value})
    assert str(caught.value).startswith(message)


def test_a_bad_setting_stops_the_start_with_one_line() -> None:
    command = [sys.executable, "-m", "render_trio", "serve"]
    ended = subprocess.run(command, env={"PORT": "x"}, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode != 0
    assert ended.stderr.strip() == "Error: PORT is 'x'; allowed: a whole number from 0 to 65535"


def test_options_win_over_the_environment() -> None:
    chosen = settings.read({"PORT": "1", "TASK_COUNT": "2"}, {"port": "3", "task_count": None})
    assert (chosen.port, chosen.task_count) == (3, 2)


def test_units_are_understood() -> None:
    chosen = settings.read({"MAX_QUEUE_TASK_SIZE": "512 KiB", "TASK_SECONDS": "2 min", "METRICS": "off"})
    assert (chosen.max_queue_task_size, chosen.task_seconds, chosen.metrics) == (512 * 1024, 120, False)


def test_a_misspelt_name_is_told() -> None:
    assert settings.read({"RENDER_WORKER": "3"}).notices == (
        "RENDER_WORKER is not a setting; the nearest is RENDER_WORKERS",
    )


def test_the_defaults_are_those_of_the_design() -> None:
    chosen = settings.read({})
    assert (chosen.task_count, chosen.task_seconds, chosen.task_time_mult, chosen.task_retry_limit) == (20, 50, 1.33, 5)
    assert (chosen.max_queue_task_size, chosen.port, chosen.render_isolation) == (680 * 1024, 8080, "thread")
