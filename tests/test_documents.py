"""Documents fail tests: what the README says of settings and commands is what the code does."""

from __future__ import annotations

import re

from click.testing import CliRunner
from PIL import Image

from render_trio.cli.commands import main
from render_trio.observation.metrics import Metrics
from render_trio.settings import settings
from resources.registry import CATALOGUE
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_the_code_s() -> None:
    assert settings.markdown_table() in README


def test_every_command_is_in_the_readme_and_explains_itself() -> None:
    for name in main.commands:
        assert f"render-trio {name}" in README
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_every_metric_is_in_the_readme() -> None:
    names = set(re.findall(r"^# TYPE (\S+) (?!gauge\n# HELP)", Metrics().exposition().decode(), re.MULTILINE))
    names = {name for name in names if not name.endswith("_created")}
    assert names
    for name in names:
        assert f"`{name}`" in README
    assert set(re.findall(r"`(render_\w+)`", README)) - {"render_trio"} == names


def test_every_resource_is_in_the_readme() -> None:
    for view in CATALOGUE:
        assert f"`{view}`" in README


def test_the_readme_s_pictures_and_files_are_there() -> None:
    for path in re.findall(r"\]\((?!http|#)([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_the_screenshots_are_of_one_width_and_small() -> None:
    pictures = sorted((ROOT / "static" / "screenshots").glob("*.png"))
    assert [picture.stem for picture in pictures] == ["gallery", "resource", "status"]
    for picture in pictures:
        with Image.open(picture) as image:
            assert image.width == 1280
        assert picture.stat().st_size < 150_000


def test_the_repository_speaks_of_itself() -> None:
    assert "## " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "MIT" in (ROOT / "LICENSE").read_text(encoding="utf-8")
