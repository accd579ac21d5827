"""Fingerprints and ETags change with whatever changes a drawing, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import resources
from render_trio.observation import versions
from render_trio.rendering import fingerprint as module
from render_trio.rendering.fingerprint import etag, fingerprint
from resources.content import assets
from resources.registry import Origin
from tests.requests import request_for

VIEW = "grid"


def current() -> str:
    """Return the fingerprint as another process would compute it."""
    fingerprint.cache_clear()
    module._base.cache_clear()
    return fingerprint(VIEW)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copies of what a drawing is made from, in folders of their own."""
    for name in ("package", "static", "templates", "plugin"):
        (tmp_path / name).mkdir()
    write(tmp_path / "package" / "code.py", "code")
    write(tmp_path / "package" / "locale" / "de.mo", "texts")
    write(tmp_path / "static" / "artwork" / "bird.svg", "bird")
    write(tmp_path / "templates" / "sheets" / "text.md", "text")
    write(tmp_path / "plugin" / "frame.py", "frame")
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "package" / "__init__.py"))
    monkeypatch.setattr(assets, "static_directory", lambda: tmp_path / "static")
    monkeypatch.setattr(assets, "template_directory", lambda: tmp_path / "templates")
    monkeypatch.setattr(module, "ORIGINS", {VIEW: Origin("plugin", folder=tmp_path / "plugin")})
    yield tmp_path
    fingerprint.cache_clear()
    module._base.cache_clear()


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize(
    "name",
    [
        "package/code.py",
        "package/new.py",
        "package/locale/de.mo",
        "static/artwork/bird.svg",
        "static/new.svg",
        "templates/sheets/text.md",
        "templates/sheets/new.md",
        "plugin/frame.py",
        "plugin/artwork/new.svg",
    ],
)
def test_a_file_that_drawings_use_changes_the_fingerprint(name: str, tree: Path) -> None:
    before = current()
    assert current() == before
    write(tree / name, "changed")
    assert current() != before


@pytest.mark.parametrize(
    "name",
    [
        "package/notes.txt",
        "package/locale/de.po",
        "static/web/style.css",
        "templates/web/page.html",
        "templates/new/resource.py",
        "templates/package/resource.py",
        "plugin/__pycache__/frame.pyc",
        "plugin/.venv/lib/x.py",
        "plugin/.git/HEAD",
        "plugin/build/x.py",
        "plugin/dist/x.whl",
    ],
)
def test_a_file_that_no_drawing_uses_does_not_change_the_fingerprint(name: str, tree: Path) -> None:
    before = current()
    write(tree / name, "changed")
    assert current() == before


def test_a_plugin_below_a_folder_with_a_name_that_is_ignored_in_it_has_a_fingerprint_of_its_files(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree / "build" / "plugin"
    write(folder / "frame.py", "frame")
    monkeypatch.setattr(module, "ORIGINS", {VIEW: Origin("plugin", folder=folder)})
    before = current()
    write(folder / "frame.py", "changed")
    assert current() != before


def rename(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "package" / "code.py").rename(tree / "package" / "other.py")


def upgrade_library(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "versions", lambda: {"reportlab": "999"})


def rename_plugin(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORIGINS", {VIEW: Origin("other", folder=tree / "plugin")})


def upgrade_plugin(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORIGINS", {VIEW: Origin("plugin", version="2", folder=tree / "plugin")})


@pytest.mark.parametrize("change", [rename, upgrade_library, rename_plugin, upgrade_plugin])
def test_names_and_versions_change_the_fingerprint(
    change: Callable[[Path, pytest.MonkeyPatch], None], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = current()
    change(tree, monkeypatch)
    assert current() != before


def test_a_fingerprint_is_short_and_an_unknown_view_has_none(tree: Path) -> None:
    assert len(current()) == 12
    with pytest.raises(KeyError):
        fingerprint("no_such_view")


def test_an_etag_differs_by_request_and_by_version(tree: Path) -> None:
    current()
    one = etag(request_for(VIEW))
    assert etag(request_for(VIEW)) == one
    assert len(one) == 32
    assert etag(request_for(VIEW, header_text="Room Four")) != one
    write(tree / "package" / "code.py", "changed")
    current()
    assert etag(request_for(VIEW)) != one
