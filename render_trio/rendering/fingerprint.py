"""Which version of a resource this process draws: the same request and fingerprint give the same bytes.

It is part of ETags and of the addresses of pictures, so that caches never serve an outdated drawing, and unchanged
drawings are not downloaded again. The version number would not be enough: drawings also change between releases.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

import resources
from render_trio.observation import versions
from resources.content import assets
from resources.registry import ORIGINS
from resources.request import Request

CHARACTERS = 12  # of a hash: enough to distinguish versions
CODE = (".py", ".mo")
NO_DRAWING = ("web", "new", "package")  # folders of web pages, and of templates for new resources


@functools.cache
def fingerprint(view: str) -> str:
    """Return a short name for the version of a resource.

    It is made from the drawing code, its artwork and texts and the libraries below and, for the resource of a plug-in,
    from the distribution's name and version, or from the files of its folder. Raises KeyError for an unknown view.
    """
    origin = ORIGINS[view]
    digest = hashlib.sha256(_base() + msgspec.json.encode([origin.name, origin.version]))
    if origin.folder is not None:
        _add_files(digest, _files_of(origin.folder))
    return digest.hexdigest()[:CHARACTERS]


def etag(request: Request) -> str:
    """Return an ETag for the document of the request, without drawing it."""
    return hashlib.sha256(f"{fingerprint(request.view)} {request!r}".encode()).hexdigest()[:32]


@functools.cache
def _base() -> bytes:
    """Return a digest of everything that all resources share."""
    digest = hashlib.sha256(msgspec.json.encode(versions.versions()))
    _add_files(digest, _own_files())
    return digest.digest()


def _add_files(digest: hashlib._Hash, paths: Iterable[Path]) -> None:
    for path in paths:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())


def _own_files() -> Iterator[Path]:
    package = Path(resources.__file__).parent
    yield from sorted(path for path in package.rglob("*") if path.suffix in CODE)
    for folder in (assets.static_directory(), assets.template_directory()):
        yield from sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name not in NO_DRAWING)


def _files_of(folder: Path) -> Iterator[Path]:
    hidden = ("__pycache__", ".venv", "build", "dist", ".git")
    yield from sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part in hidden for part in path.relative_to(folder).parts)
    )
