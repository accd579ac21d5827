"""Examples in the documents work: Python runs, commands and options exist, JSON and YAML parse.

A comment before a Python block says how to run it; CONTRIBUTING.md has the list.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
import yaml

from render_trio.cli.commands import main
from render_trio.settings import settings
from tests.conftest import ROOT
from tests.docs.markdown import Block, blocks
from tests.processes import environment, queue, start_service

PYTHON = list(blocks("python"))
QUEUE_URL = "http://127.0.0.1:5052"  # as the documents have it
OTHER_VARIABLES = {
    "OTEL_EXPORTER_OTLP_ENDPOINT",  # OpenTelemetry's
    "FUZZ_REQUESTS",
    "SIMULATION_SEED",
    "SIMULATION_SEEDS",
    "PLUGIN_DIRECTORY",
    "UPDATE_PICTURES",
    "CHAOS",
    "CHAOS_SEED",
    "PYTHON",
    "VENV",
}
# Renders every resource of the folder that the block was written to, as `render-trio --plugins` does.
DRAW = """
from pathlib import Path
from render_trio.queue.producer import task_values
from render_trio.rendering.pipeline import produce
from resources import registry
before = set(registry.CATALOGUE)
registry.add_folder(Path("."))
assert registry.problems() == (), registry.problems()
views = set(registry.CATALOGUE) - before
assert views
for view in views:
    for options in ({}, {"paper_size": "letter", "ink_saver": True}):
        produce(task_values(view, options)[0], lambda: None)
"""


def run(code: str, folder: Path) -> None:
    """Run Python code in a process of its own; what it prints is shown if it fails."""
    command = [sys.executable, "-W", "error", "-c", code]
    where = environment(PYTHONPATH=str(ROOT))
    ended = subprocess.run(command, cwd=folder, env=where, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr or ended.stdout


@contextmanager
def servers(marker: str, folder: Path) -> Iterator[str]:
    """Run what a marker asks for, and yield the queue's URL; one result is waiting if results are asked for."""
    with ExitStack() as stack:
        running = stack.enter_context(queue(f"sqlite:///{folder / 'queue.sqlite3'}"))
        if "service" in marker or "results" in marker:
            serving = start_service(running.address, folder / "service.log", RENDER_WORKERS=1)
            stack.callback(serving.end)
        if "results" in marker:
            tasks = f"{running.address}/taskqueue/v1beta2/projects/render/taskqueues/render/tasks"
            task = {"kind": "task#render", "resource_view": "grid", "paper_size": "a4"}
            payload = base64.b64encode(json.dumps(task).encode()).decode()
            httpx.post(tasks, json={"queueName": "render", "payloadBase64": payload, "tag": "task"}).raise_for_status()
        yield running.address


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_examples_compile(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", [one for one in PYTHON if not one.marker.startswith("not run")], ids=str)
def test_python_examples_run(block: Block, tmp_path: Path) -> None:
    if block.marker.startswith("file: "):
        (tmp_path / block.marker.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
        run(DRAW if "RESOURCE" in block.text else block.text, tmp_path)
    elif block.marker.startswith("run: "):
        assert QUEUE_URL in block.text
        with servers(block.marker, tmp_path) as address:
            run(block.text.replace(QUEUE_URL, address), tmp_path)
    else:
        run(block.text, tmp_path)


def test_the_producer_of_the_readme_gets_its_pdf_in_ten_lines(tmp_path: Path) -> None:
    (block,) = [one for one in PYTHON if one.page.name == "README.md"]
    assert len(block.text.replace("\n\n", "\n").splitlines()) == 10
    assert re.findall(r"^import (.*)$", block.text, re.MULTILINE) == ["base64, json, httpx"]
    with servers(block.marker, tmp_path) as address:
        run(block.text.replace(QUEUE_URL, address), tmp_path)
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF-")


# -- shell


def commands(block: Block) -> Iterator[str]:
    """Yield the commands of a shell block, without comments, redirections and what follows a pipe or &."""
    for line in block.text.replace("\\\n", " ").splitlines():
        command = re.sub(r"(^|\s)#.*$", "", line)
        command = re.sub(r"\s+\d?>\s*\S+", "", command)
        for part in re.split(r"&&|\||(?<!&)&(?!&)(?=\s|$)", command):
            if part.strip():
                yield part.strip()


def check_command(words: list[str]) -> None:
    """Raise unless a `render-trio` command line has only commands and options that exist."""
    command: click.Command = main
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word.startswith("-"):
            name, separator, _ = word.partition("=")
            options = {text: one for one in command.params for text in (*one.opts, *one.secondary_opts)}
            options |= {text: one for one in command.get_params(click.Context(command)) for text in one.opts}
            assert name in options, f"{command.name} has no option {name}"
            option = options[name]
            if not separator and not getattr(option, "is_flag", False):
                waiting.pop(0)
        elif isinstance(command, click.Group):
            assert word in command.commands, f"there is no command {word}"
            command = command.commands[word]


def check_words(text: str) -> None:
    """Raise unless a shell command names variables, commands and scripts that exist."""
    words = shlex.split(text)
    known = {setting.name for setting in settings.TABLE} | OTHER_VARIABLES
    if words and words[0] == "export":
        words.pop(0)
    while words and (assigned := re.fullmatch(r"([A-Z_]+)=.*", words[0], re.DOTALL)):
        assert assigned[1] in known, f"{assigned[1]} is no setting"
        words.pop(0)
    if not words:
        return
    if words[0] == "render-trio":
        check_command(words[1:])
    elif words[0].startswith(("./", "scripts/")):
        assert (ROOT / words[0]).is_file(), words[0]
    elif words[0].endswith("python") and words[1:3] == ["-m", "pytest"]:
        for path in (word for word in words[3:] if word.startswith("tests")):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("block", list(blocks("sh")), ids=str)
def test_commands_and_options_in_shell_examples_exist(block: Block) -> None:
    for command in commands(block):
        check_words(command)


@pytest.mark.parametrize(
    "wrong",
    [
        "render-trio paint grid",
        "render-trio submit grid --number 3",
        "RENDER_WORKER=1 render-trio serve",
        "./scripts/tests",
        ".venv/bin/python -m pytest tests/nothing.py",
    ],
)
def test_a_wrong_command_is_noticed(wrong: str) -> None:
    with pytest.raises(AssertionError):
        check_words(wrong)


# -- data


@pytest.mark.parametrize("block", list(blocks("json", "yaml", "toml")), ids=str)
def test_data_parses(block: Block) -> None:
    read: Any = {"json": json.loads, "yaml": yaml.safe_load, "toml": tomllib.loads}[block.language]
    read(block.text)
