"""`render-trio new`: what it writes draws at once, and passes its own tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from render_trio.cli.new import NewResourceError, view_of, write_entry, write_package
from resources import catalogue
from tests.conftest import ROOT


def test_a_new_package_passes_its_own_tests(tmp_path: Path) -> None:
    """In a process of its own, as its author runs them; once to write the pictures, once to compare."""
    write_package("Letter Cards", tmp_path / "new")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for more in ({"UPDATE_PICTURES": "1"}, {}):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        ended = subprocess.run(
            command, cwd=tmp_path / "new", env=environment | more, capture_output=True, text=True, check=False
        )
        assert "2 passed" in ended.stdout, ended.stdout + ended.stderr


def test_an_entry_of_the_catalogue_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    folder = tmp_path / "resources" / "catalogue"
    monkeypatch.setattr(catalogue, "__path__", [str(folder)])
    assert write_entry("letter-cards") == [folder / "letter_cards.py"]
    text = (folder / "letter_cards.py").read_text()
    compile(text, "letter_cards.py", "exec")
    assert 'view="letter_cards"' in text
    assert "folder=" not in text


def test_outside_a_checkout_there_is_no_catalogue_to_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "__path__", [str(tmp_path / "resources" / "catalogue")])
    with pytest.raises(NewResourceError, match="leave out --catalogue"):
        write_entry("letter-cards")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "allowed: letters a to z"),
        ("../elsewhere", "allowed: letters a to z"),
        ("2 cards", "allowed: letters a to z"),
        ("class", "allowed: letters a to z"),
        ("Grid", "the view 'grid' is taken by a resource called 'Grid'"),
    ],
)
def test_a_name_that_can_not_be_is_refused(name: str, message: str) -> None:
    with pytest.raises(NewResourceError, match=message):
        view_of(name)


def test_a_name_that_would_hide_a_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NewResourceError, match="a module called 'json' is installed already"):
        write_package("json", tmp_path / "new")


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(NewResourceError, match="exists and is not empty"):
        write_package("letter cards", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
