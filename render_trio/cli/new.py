"""`render-trio new`: the files of a resource that already draws, in a package of its own or in the catalogue."""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from resources import catalogue
from resources.content.assets import template_directory
from resources.registry import CATALOGUE

VIEW = re.compile(r"[a-z][a-z0-9_]{0,59}")


class NewResourceError(ValueError):
    """A name that a new resource can't have, or a place that is taken."""


def view_of(name: str) -> str:
    """Return the view for a name given in any spelling. Raises NewResourceError."""
    view = re.sub(r"[\s-]+", "_", name.strip()).lower()
    if not VIEW.fullmatch(view) or keyword.iskeyword(view):
        allowed = "letters a to z, digits, spaces, dashes and underscores, beginning with a letter"
        raise NewResourceError(f"the name is {name[:60]!r}; allowed: {allowed}")
    if view in CATALOGUE:
        raise NewResourceError(f"the view {view!r} is taken by a resource called {CATALOGUE[view].name!r}")
    return view


def write_package(name: str, folder: Path | None = None) -> list[Path]:
    """Write a plug-in package into `folder` (default: a new one named after the resource); returns its files.

    Raises NewResourceError when the name is taken, by an importable module too, or the folder is not empty.
    """
    view = view_of(name)
    if importlib.util.find_spec(view) is not None:
        raise NewResourceError(f"a module called {view!r} is installed already: choose another name")
    folder = folder or Path(view.replace("_", "-"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NewResourceError(f"{folder} exists and is not empty: choose another folder with --into")
    files = {
        "pyproject.toml": "package/pyproject.toml.jinja",
        "README.md": "package/README.md.jinja",
        f"{view}/__init__.py": "",
        f"{view}/resource.py": "resource.py.jinja",
        "tests/conftest.py": "package/conftest.py.jinja",
        "tests/test_resource.py": "package/test_resource.py.jinja",
    }
    return [_write(folder / path, template, view, package=True) for path, template in files.items()]


def write_entry(name: str) -> list[Path]:
    """Write a new entry of the catalogue, in a checkout; returns its file. Raises NewResourceError."""
    view, folder = view_of(name), Path(catalogue.__path__[0])
    if not (folder.parent.parent / "pyproject.toml").is_file():
        raise NewResourceError(f"{folder} is not in a checkout: leave out --catalogue to write a package of your own")
    return [_write(folder / f"{view}.py", "resource.py.jinja", view, package=False)]


def _write(path: Path, template: str, view: str, *, package: bool) -> Path:
    title = view.replace("_", " ").title()
    text = ""
    if template:
        # Not HTML: the files are Python, TOML and Markdown.
        environment = Environment(
            loader=FileSystemLoader(template_directory() / "new"), undefined=StrictUndefined, keep_trailing_newline=True
        )
        distribution = view.replace("_", "-")
        text = environment.get_template(template).render(
            view=view, title=title, distribution=distribution, package=package
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
