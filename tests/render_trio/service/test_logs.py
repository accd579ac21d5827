"""Every log line is one JSON object, whatever its source; a log that can't be written stops nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

SET_UP = "from render_trio.service import logs; logs.configure('json', 'info')\n"


def lines_of(code: str) -> list[dict[str, Any]]:
    ended = subprocess.run([sys.executable, "-c", SET_UP + code], cwd=ROOT, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in ended.stderr.splitlines()]


@pytest.mark.parametrize(
    "code",
    [
        "secret = 'x' * 9\nraise ValueError('broken\\nin two')",
        "import threading\ndef work():\n  secret = 'x' * 9\n  raise ValueError('broken\\nin two')\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join()",
        "import logging\nsecret = 'x' * 9\ntry: raise ValueError('broken\\nin two')\n"
        "except ValueError: logging.getLogger('library').exception('failed')",
        "import trio\nasync def main():\n  async with trio.open_nursery():\n    raise ValueError('broken\\nin two')\n"
        "trio.run(main)",
        "class Broken:\n  def __del__(self): raise ValueError('broken\\nin two')\nBroken()",
    ],
)
def test_an_exception_is_logged_as_one_line_of_json_without_local_variables_and_messages(code: str) -> None:
    (line,) = lines_of(code)
    assert line["level"] == "error"
    assert line["timestamp"].endswith("Z")
    text = json.dumps(line["exception"])
    assert "ValueError in " in text
    assert "(<string>:" in text
    assert "broken" not in json.dumps(line)
    assert "xxxxxxxxx" not in text


def test_on_a_terminal_an_exception_has_its_places_but_neither_local_variables_nor_messages() -> None:
    code = (
        "from render_trio.service import logs; logs.configure('console', 'info')\n"
        "import structlog\n"
        "def draw(header): raise KeyError(header)\n"
        "try:\n"
        "  try: draw('Ada Lovelace')\n"
        "  except KeyError as error: raise ExceptionGroup('Ada Lovelace', [error, ValueError('Ada')]) from error\n"
        "except ExceptionGroup: structlog.get_logger().error('failed', exc_info=True)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "KeyError in draw (<string>:3)" in ended.stderr
    assert "ExceptionGroup in <module>" in ended.stderr
    assert "Ada" not in ended.stderr


def test_the_messages_of_our_own_errors_and_of_the_system_are_logged() -> None:
    code = (
        "import structlog; from render_trio.errors import FatalError\n"
        "try:\n"
        "  try: open('/missing/file')\n"
        "  except OSError as error: raise FatalError('the service is out of order') from error\n"
        "except FatalError: structlog.get_logger().error('failed', exc_info=True)"
    )
    (line,) = lines_of(code)
    assert [one["exc_value"] for one in line["exception"]] == [
        "FatalError: the service is out of order",
        "FileNotFoundError: No such file or directory: '/missing/file'",
    ]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_passwords_in_urls_are_removed_from_every_field_and_record(log_format: str) -> None:
    code = (
        f"from render_trio.service import logs; logs.configure({log_format!r}, 'info')\n"
        "import logging, structlog\n"
        "url = 'redis://me:s3cr3t@host/0?key=s3cr3t'\n"
        "structlog.get_logger().info(url, url=url, nested={'one': [url]}, deep=({'two': url},))\n"
        "logging.getLogger('library').warning('no answer from %s', url)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stderr.count("redis://host/0") == 5
    assert "s3cr3t" not in ended.stderr


def test_records_and_warnings_of_libraries_are_json_too() -> None:
    code = "import logging, warnings\nlogging.getLogger('library').warning('%s things', 3); "
    code += "warnings.warn('old', DeprecationWarning); warnings.warn('Ada')"
    first, second, third = lines_of(code)
    assert (first["event"], first["level"], first["logger"]) == ("3 things", "warning", "library")
    assert "DeprecationWarning: old" in second["event"]
    assert third["event"].endswith(": UserWarning")  # its text may quote a task


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_full_disk_under_the_log_stops_nothing(log_format: str) -> None:
    code = (
        f"from render_trio.service import logs; logs.configure({log_format!r}, 'info')\n"
        "import logging, structlog, sys\n"
        "for number in range(3): structlog.get_logger().info('a line'); logging.getLogger().error('another')\n"
        "print('worked on')"
    )
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert ended.stdout == "worked on\n"


def test_a_reader_that_does_not_read_stops_nothing_and_dropped_lines_are_counted() -> None:
    code = (
        "import structlog, sys\n"
        "for number in range(3000): structlog.get_logger().info('a line', number=number)\n"
        "print('worked on', flush=True); sys.stdin.readline()\n"
        "structlog.get_logger().info('the last line')"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", SET_UP + code], cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "worked on\n"
        first = process.stderr.readline()  # from here on, the pipe has room
        process.stdin.write("\n")
        process.stdin.flush()
        written = [json.loads(line) for line in (first, *process.stderr)]
    kept = [line["number"] for line in written if line["event"] == "a line"]
    assert kept == list(range(len(kept)))
    assert 100 < len(kept) < 3000
    dropped, last = written[-2:]
    assert (dropped["event"], dropped["lines"]) == ("log lines dropped", 3000 - len(kept))
    assert last["event"] == "the last line"
