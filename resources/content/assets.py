"""Where the files that are not code lie: artwork, pixel pictures, text sheets.

In a checkout `static/` and `templates/` stand beside the package, in an installed wheel inside it.
The operator's STATIC_DIRECTORY and TEMPLATE_DIRECTORY replace them, once, at the start of a process.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+)*")
_PACKAGE = Path(__file__).resolve().parent.parent


def _shipped(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


@dataclass(slots=True)
class _Places:
    static: Path
    templates: Path


_places = _Places(_shipped("static"), _shipped("templates"))


def use(static: Path | None = None, templates: Path | None = None) -> None:
    """Replace one or both directories, before the first document of the process is drawn."""
    if static is not None:
        _places.static = static
    if templates is not None:
        _places.templates = templates


def find(kind: str, name: str, suffix: str, folder: Path | None, error: type[ValueError]) -> Path:
    """Return the file of an asset: `kind`/`name``suffix` in `folder` (a plug-in's own), else in the static directory.

    Raises `error` when there is none, or when the name could leave the folder.
    """
    if not NAME.fullmatch(name):
        raise error(f"{kind} {name!r} is not a name; allowed: lower-case letters, digits, _ and -, folders apart by /")
    folders = [place / kind for place in (folder, static_directory()) if place is not None]
    for place in folders:
        path = place / f"{name}{suffix}"
        if path.is_file():
            return path
    raise error(f"{kind} {name!r} is not in {' or '.join(map(str, folders))}")


def static_directory() -> Path:
    """Return the directory of artwork, pixel pictures and the web's style sheet."""
    return _places.static


def template_directory() -> Path:
    """Return the directory of Jinja templates: web pages and the text sheets of resources."""
    return _places.templates
