"""The documents say what the code does: whatever exists is documented, and whatever is documented exists."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from PIL import Image

import render_trio
from render_trio.cli.commands import main
from render_trio.cli.producing.connecting import EXIT_INCOMPLETE
from render_trio.observation.metrics import Metrics
from render_trio.service import shutdown
from resources import parsing
from resources.registry import CATALOGUE
from scripts import reference_pages
from tests.conftest import ROOT
from tests.docs.markdown import rows
from tests.test_architecture import LAYERS

REFERENCE = ROOT / "docs" / "reference"
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def reference(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def first_cells(name: str) -> list[str]:
    """Return the code in the first cells of a reference page's tables."""
    return [code for row in rows(reference(name)) for code in re.findall(r"`([^`]+)`", row[0])]


def program() -> Iterator[ast.Call]:
    """Yield every call in the service's code."""
    for path in (ROOT / "render_trio").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield node


# -- the reference


def test_the_generated_parts_of_the_reference_are_up_to_date() -> None:
    for path, text in reference_pages.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is out of date: run scripts/docs"


def test_the_table_of_settings_is_complete() -> None:
    assert reference_pages.settings_table() in reference("settings")


def test_every_command_is_documented_and_has_help() -> None:
    for name in main.commands:
        assert f"\n## render-trio {name}\n" in reference("commands")
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_every_metric_is_documented() -> None:
    names = set(re.findall(r"^# TYPE (\S+) (?!gauge\n# HELP)", Metrics().exposition().decode(), re.MULTILINE))
    names = {name for name in names if not name.endswith("_created")}
    assert names
    assert set(re.findall(r"`(render_\w+)`", reference("metrics"))) == names


def test_every_resource_and_option_is_documented() -> None:
    text = reference("resources")
    for view, resource in CATALOGUE.items():
        assert f"`{view}`" in text
        part = text.split(f"\n## {resource.slug}\n")[1].split("\n## ")[0]
        assert re.findall(r"^- `(\w+)`", part, re.MULTILINE) == [option.name for option in resource.options]


def test_every_common_option_is_documented() -> None:
    part = reference("tasks-and-results").split("\n### Common options\n")[1].split("\n## ")[0]
    assert {row[0].strip("`") for row in rows(part)} == parsing.COMMON_KEYS | {"kind", "reply_tag", "traceparent"}


def test_every_error_code_is_documented() -> None:
    codes = {
        str(node.args[position].value)
        for node in program()
        for name, position in (("problem", 1), ("InvalidTaskError", 0), ("RequestError", 0))
        if getattr(node.func, "id", "") == name and isinstance(node.args[position : position + 1][0], ast.Constant)
    }
    codes |= set(re.findall(r"\b(?:RequestError|OptionError|_invalid)\(\s*\"([a-z_]+)\"", inspect.getsource(parsing)))
    codes |= set(re.findall(r"^    code(?:: str)? = \"(\w+)\"", inspect.getsource(render_trio.errors), re.MULTILINE))
    documented = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)*)`", reference("tasks-and-results") + reference("http-api")))
    assert len(codes) > 15
    assert codes - documented == set()


def test_every_exit_code_is_documented() -> None:
    codes = {value for name, value in vars(shutdown).items() if name.startswith("EXIT_")}
    usage = 2  # click's
    assert {int(row[0]) for row in rows(reference("exit-codes"))} == codes | {usage, EXIT_INCOMPLETE}


def test_every_log_event_is_documented_with_its_level_and_fields() -> None:
    events: dict[str, tuple[str, set[str]]] = {"log lines dropped": ("", {"lines"})}  # written without a logger
    for node in program():
        if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "log" and node.args:
            assert isinstance(node.args[0], ast.Constant), f"an event is not a constant: {ast.unparse(node)}"
            level, fields = events.setdefault(str(node.args[0].value), (node.func.attr, set()))
            fields |= {str(keyword.arg) for keyword in node.keywords}
            assert level == node.func.attr
    documented = {
        event.strip("`"): (level, set(re.findall(r"`(\w+)`", fields)))
        for event, level, fields, _ in rows(reference("log-events"))
    }
    assert documented == events


def test_every_route_for_operators_is_documented() -> None:
    probes = {"/livez", "/readyz", "/health", "/_ah/health", "/version"}
    assert probes <= set(first_cells("health"))
    assert probes <= {name.partition(" ")[2] for name in first_cells("http-api")}


def test_every_public_name_is_documented() -> None:
    headings = set(re.findall(r"^### (\w+)$", reference("python-api"), re.MULTILINE))
    public = {name for name in render_trio.__all__ if not name.startswith("__")}
    assert public
    assert public <= headings


# -- README, CONTRIBUTING and the others


def test_the_readme_starts_with_the_two_commands() -> None:
    assert re.search(r"^\./scripts/demo\b", README, re.MULTILINE)
    assert re.search(r"^\./scripts/test\b", README, re.MULTILINE)
    assert len(README.splitlines()) < 120


def test_contributing_begins_with_two_rules() -> None:
    before_the_first_section = CONTRIBUTING.split("\n## ")[0]
    assert re.findall(r"^(\d)\. \*\*", before_the_first_section, re.MULTILINE) == ["1", "2"]


def test_every_script_is_in_the_table_of_contributing() -> None:
    part = CONTRIBUTING.split("\n## Commands\n")[1].split("\n## ")[0]
    listed = {re.split(r"[ `]", row[0])[1].removeprefix("./scripts/") for row in rows(part)}
    # Those that a container, a virtual machine or another script calls, not a person.
    called = {"docker-entrypoint.sh", "mount-bucket.sh", "shutdown-script.sh", "restart-on-change"}
    scripts = {path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and path.suffix != ".py"}
    assert listed == scripts - called


@pytest.mark.parametrize("package", LAYERS)
def test_the_import_order_is_the_tested_one(package: str) -> None:
    part = CONTRIBUTING.split("\n## Import order\n")[1].split("\n## ")[0]
    (paragraph,) = re.findall(rf"^\*\*{package}\*\*: (.+?)(?:\n\n|\Z)", part, re.MULTILINE | re.DOTALL)
    assert tuple(tuple(re.findall(r"`(\w+)`", row)) for row in paragraph.split("→")) == LAYERS[package]


def test_the_screenshots_are_of_one_width_and_small() -> None:
    pictures = sorted((ROOT / "static" / "screenshots").glob("*.png"))
    assert [picture.stem for picture in pictures] == ["gallery", "resource", "status"]
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.width == 1280
        assert picture.stat().st_size < 150_000


def test_the_changelog_and_the_licence_exist() -> None:
    assert "## " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "MIT" in (ROOT / "LICENSE").read_text(encoding="utf-8")
