"""Plug-ins: what they add is there, and one that is broken is named and left out."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources import parsing, registry
from resources.registry import CATALOGUE, ORIGINS, PluginError, add_folder, problems
from resources.request import RESERVED_KEYS
from tests.conftest import ROOT
from tests.registered import unchanged_registry

EXAMPLE = ROOT / "tests" / "plugin"
MODULE = """
from resources.language import N_
from resources.options import Choice, Flag
from resources.resource import Resource

def draw(document, choices):
    with document.page() as page:
        page.rectangle(page.area)

RESOURCE = Resource({arguments})
"""
ARGUMENTS: dict[str, str] = {
    "view": "'frame'",
    "name": "N_('Frame')",
    "summary": "N_('A frame to draw in.')",
    "options": "()",
    "subtitle": "lambda choices, paper: paper",
    "pages": "lambda choices: 1",
    "draw": "draw",
}


def module(**changes: str) -> str:
    arguments = ", ".join(f"{name}={value}" for name, value in (ARGUMENTS | changes).items())
    return MODULE.format(arguments=arguments)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with unchanged_registry():
        yield


def test_a_checkout_named_as_a_folder_adds_its_entry_points() -> None:
    add_folder(EXAMPLE)
    assert problems() == ()
    assert {"tally_cards", "tally_die", "binary_die"} <= CATALOGUE.keys()
    assert str(ORIGINS["tally_cards"]) == "classroom-tally 1.0.0"
    assert str(ORIGINS["grid"]) == "render-trio"


def test_a_folder_of_modules_adds_each_with_a_resource(tmp_path: Path) -> None:
    (tmp_path / "frame.py").write_text(module())
    (tmp_path / "notes.py").write_text("raise RuntimeError('never imported: it defines no resource')")
    add_folder(tmp_path)
    assert problems() == ()
    assert CATALOGUE["frame"].name == "Frame"


def test_adding_a_folder_twice_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "frame.py").write_text(module())
    add_folder(tmp_path)
    add_folder(tmp_path)
    assert problems() == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RESOURCE = 1 / 0", "ZeroDivisionError: division by zero"),
        ("import nothing_of_this_name\nRESOURCE = 1", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("RESOURCE = 'a text'", "the value is a str; allowed: a Resource, or a callable that returns several"),
        ("def RESOURCE(): return 5", "the callable returned a int; allowed: several Resources"),
        ("def RESOURCE(): return [5]", "int is no Resource"),
        (module(view="'grid'"), "the view 'grid' is taken by render-trio"),
        (module(view="'My-Frame'"), "the view is 'My-Frame'; allowed: lower-case letters, digits and underscores"),
        (module(options="(Flag('copies', 'x', True),)"), "option 'copies' has a name that every task uses"),
        (module(options="(Flag('a', 'x', True), Flag('a', 'x', True))"), "two options share a name"),
        (module(options="(Choice('a', 'x', {'b': 'B'}, 'c'),)"), "a is 'c'; allowed: b"),
        (module(showcase="{'b': 1}"), "showcase names unknown options: b"),
        (module(pages="lambda choices: 0"), "a copy has 0 pages; allowed: at least 1"),
        (module(subtitle="lambda choices: ''"), "TypeError"),
        (module(folder="__import__('pathlib').Path('/nowhere')"), "its folder /nowhere does not exist"),
    ],
)
def test_a_broken_plug_in_is_reported_by_name_and_left_out(text: str, message: str, tmp_path: Path) -> None:
    before = dict(CATALOGUE)
    (tmp_path / "broken.py").write_text(text)
    (tmp_path / "whole.py").write_text(module(view="'whole'"))
    add_folder(tmp_path)
    (problem,) = problems()
    assert str(problem).startswith(f"plug-in {tmp_path.name} (broken): ")
    assert message in problem.message
    assert "importlib" not in problem.details
    assert "registry.py" not in problem.details
    assert dict(CATALOGUE) == before | {"whole": CATALOGUE["whole"]}


def test_one_bad_resource_of_several_leaves_the_others_in_place(tmp_path: Path) -> None:
    several = module().replace("RESOURCE = ", "GOOD = ") + "def RESOURCE():\n    return [5, GOOD]\n"
    (tmp_path / "several.py").write_text(several)
    add_folder(tmp_path)
    assert [problem.message for problem in problems()] == ["int is no Resource"]
    assert "frame" in CATALOGUE


@pytest.mark.parametrize("make", [lambda path: path / "missing", lambda path: path])
def test_a_folder_without_a_resource_is_refused(make: object, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"is not a folder|holds no resource"):
        add_folder(make(tmp_path))  # type: ignore[operator]


def test_a_checkout_with_a_damaged_project_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project")
    with pytest.raises(PluginError, match="is not valid TOML"):
        add_folder(tmp_path)


def test_installed_entry_points_are_loaded_with_their_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package is a folder on the path with metadata beside it: nothing here stands for pip's work."""
    (tmp_path / "installed_frame.py").write_text(module(view="'installed_frame'"))
    about = tmp_path / "frames-2.3.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: frames\nVersion: 2.3\n")
    (about / "entry_points.txt").write_text("[render_trio.resources]\nframe = installed_frame:RESOURCE\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    registry._resources.clear()
    registry._load()
    assert str(ORIGINS["installed_frame"]) == "frames 2.3"
    assert "grid" in CATALOGUE


def test_no_option_can_shadow_a_key_of_every_task() -> None:
    assert parsing.COMMON_KEYS <= RESERVED_KEYS
    for resource in CATALOGUE.values():
        assert not RESERVED_KEYS.intersection(option.name for option in resource.options)
