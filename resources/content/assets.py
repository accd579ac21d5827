"""The directories of the files that are not code: artwork, pixel pictures and text sheets.

In a checkout, `static/` and `templates/` are next to the package; in an installed wheel, they are inside it. The
settings STATIC_DIRECTORY and TEMPLATE_DIRECTORY replace them, once, when the process starts.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

NAME = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+)*")
_PACKAGE = Path(__file__).resolve().parent.parent


def _shipped(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


@dataclass(slots=True)
class _Directories:
    static: Path
    templates: Path


_directories = _Directories(_shipped("static"), _shipped("templates"))


def use(static: Path | None = None, templates: Path | None = None) -> None:
    """Replace one or both directories. Call it before the first document is drawn: files that were read stay cached."""
    if static is not None:
        _directories.static = static
    if templates is not None:
        _directories.templates = templates


def missing_static_files() -> list[str]:
    """Return the packaged static files that the current directory lacks or that can't be read, sorted by path."""
    return _missing("static", _directories.static, ("artwork", "pixels", "web"))


def missing_templates() -> list[str]:
    """Return the packaged templates that the current directory lacks or that can't be read, sorted by path."""
    return _missing("templates", _directories.templates, ("sheets/en", "web"))


def _missing(name: str, current: Path, kinds: tuple[str, ...]) -> list[str]:
    """Compare with the list that was read first: files that vanish from the packaged folder are missing, too."""
    return [file for file in _needed(name, kinds) if not os.access(current / file, os.R_OK)]


@lru_cache
def _needed(name: str, kinds: tuple[str, ...]) -> tuple[str, ...]:
    shipped = _shipped(name)
    files = (path for kind in kinds for path in (shipped / kind).rglob("*") if path.is_file())
    return tuple(sorted(path.relative_to(shipped).as_posix() for path in files))


def find(kind: str, name: str, suffix: str, folder: Path | None, error: type[ValueError]) -> Path:
    """Return the file `{kind}/{name}{suffix}` in `folder` (that of a plug-in) or else in the static directory.

    Raises `error` if the file does not exist, or if the name could refer to a file outside these directories.
    """
    if not NAME.fullmatch(name):
        raise error(f"{kind} name is {name!r}; allowed: lower-case letters, digits, _ and -, with / between folders")
    folders = [directory / kind for directory in (folder, static_directory()) if directory is not None]
    for directory in folders:
        path = directory / f"{name}{suffix}"
        if path.is_file():
            return path
    raise error(f"{kind}: no file {name}{suffix} in {' or '.join(map(str, folders))}")


def static_directory() -> Path:
    """Return the directory of the artwork, the pixel pictures and the files of the web pages."""
    return _directories.static


def template_directory() -> Path:
    """Return the directory of the Jinja templates of web pages and text sheets."""
    return _directories.templates
