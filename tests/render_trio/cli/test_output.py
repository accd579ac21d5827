"""What a program or a shell reads: plain lines in a pipe, tables on a terminal, JSON, and completion."""

from __future__ import annotations

import itertools
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from trio.testing import MockClock

from render_trio.cli.commands import main
from render_trio.cli.producing.fetching import MAX_REPORT_SECONDS, Outage
from render_trio.errors import QueueUnavailableError
from resources.registry import CATALOGUE
from tests.conftest import ROOT
from tests.processes import environment, render_trio
from tests.registered import unchanged_registry


def complete(line: str, **settings: str) -> list[str]:
    """Return what a shell would offer for the last word of a command line."""
    *words, incomplete = line.split(" ")[1:]
    with pytest.MonkeyPatch.context() as patch, unchanged_registry():
        for name, value in settings.items():
            patch.setenv(name, value)
        found = BashComplete(main, {}, "render-trio", "_RENDER_TRIO_COMPLETE").get_completions(words, incomplete)
    return [item.value for item in found]


def test_completion_is_available_to_shells() -> None:
    """The protocol of click: variables in, one candidate per line out."""
    variables = {"_RENDER_TRIO_COMPLETE": "bash_complete", "COMP_WORDS": "render-trio render gr", "COMP_CWORD": "2"}
    code = "from render_trio.cli.commands import main; main(prog_name='render-trio')"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(**variables), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("plain,grid\n", "")


def on_a_terminal(*arguments: str) -> str:
    """Return what a command prints on a terminal."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "render_trio", *arguments]
    with subprocess.Popen(command, stdout=follower, env=environment(TERM="xterm", COLUMNS="200")) as process:
        os.close(follower)
        text = b""
        try:
            while part := os.read(leader, 65536):
                text += part
        except OSError:  # Linux reports the end of a terminal as an input/output error
            pass
        assert process.wait(60) == 0
    os.close(leader)
    return text.decode()


def test_in_a_pipe_each_resource_is_a_line_with_tabs() -> None:
    lines = render_trio("resources").stdout.splitlines()
    assert [line.split("\t") for line in lines] == [[one.view, one.name, one.summary] for one in CATALOGUE.values()]


def test_in_a_pipe_each_option_is_a_line_with_tabs() -> None:
    lines = [line.split("\t") for line in render_trio("resources", "grid").stdout.splitlines()]
    assert ["paper_size", "a4", "a4, letter", "yes"] in lines
    assert {len(line) for line in lines} == {4}


def test_on_a_terminal_there_is_a_table() -> None:
    text = on_a_terminal("resources", "grid")
    assert "┏━━" in text
    assert "header_text" in text


def test_the_demo_prints_plain_lines_in_a_pipe(tmp_path: Path) -> None:
    lines = [line.split("\t") for line in render_trio("demo", "--out", str(tmp_path)).stdout.splitlines()]
    assert [line[0] for line in lines] == sorted(CATALOGUE)
    assert all(Path(line[4]).is_file() for line in lines)


def test_render_and_new_report_as_json(tmp_path: Path) -> None:
    drawn = json.loads(render_trio("render", "grid", "--out", str(tmp_path / "grid.pdf"), "--json").stdout)
    assert drawn["path"] == str(tmp_path / "grid.pdf")
    assert drawn["bytes"] == (tmp_path / "grid.pdf").stat().st_size
    assert (drawn["pages"], drawn["warnings"], len(drawn["sha256"])) == (1, [], 64)
    written = json.loads(render_trio("new", "My Cards", "--into", str(tmp_path / "cards"), "--json").stdout)
    assert written["view"] == "my_cards"
    assert all(Path(path).is_file() for path in written["files"])


@pytest.mark.parametrize("command", ["render", "resources", "submit", "preview"])
def test_the_shell_completes_resources(command: str) -> None:
    assert complete(f"render-trio {command} gr") == ["grid"]
    assert complete(f"render-trio {command} binary-c") == ["binary-cards", "binary-cards-small"]
    assert complete(f"render-trio {command} binary_c") == ["binary_cards", "binary_cards_small"]


def test_the_shell_completes_commands_options_and_their_values() -> None:
    assert complete("render-trio res") == ["resources", "results"]
    assert complete("render-trio render grid -o pap") == ["paper_size="]
    assert complete("render-trio render grid -o paper_size=l") == ["paper_size=letter"]
    assert complete("render-trio submit binary-cards -o display_numbers=") == [
        "display_numbers=yes",
        "display_numbers=no",
    ]
    assert "display_numbers=" in complete("render-trio submit binary-cards -o ")
    assert "display_numbers=" not in complete("render-trio submit grid -o ")
    assert complete("render-trio results --fo") == ["--follow"]


def test_the_shell_completes_the_resources_of_plugins() -> None:
    plugin = str(ROOT / "tests" / "plugin")
    assert complete("render-trio render tal", PLUGIN_DIRECTORY=plugin) == ["tally-cards", "tally-die"]
    assert complete(f"render-trio --plugins {plugin} render tal") == ["tally-cards", "tally-die"]


async def test_an_outage_is_reported_at_once_and_then_at_growing_intervals(autojump_clock: MockClock) -> None:
    reports: list[tuple[float, str]] = []
    outage = Outage(lambda line: reports.append((round(autojump_clock.current_time()), line)))
    begun = autojump_clock.current_time()
    while autojump_clock.current_time() < begun + 3600:
        await outage.failed(QueueUnavailableError("the queue does not answer"))
    outage.ended()
    assert reports[0][1] == "Warning: the queue does not answer; trying again"
    assert reports[-1][1] == "The queue answers again."
    times = [at for at, _ in reports[:-1]]
    pauses = [later - at for at, later in itertools.pairwise(times)]
    assert pauses[:5] == [10, 20, 40, 80, 160]
    assert pauses[-1] == MAX_REPORT_SECONDS
    assert len(reports) < 15
