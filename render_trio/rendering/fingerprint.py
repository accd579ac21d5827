"""The fingerprint of the catalogue that this process draws: the same request and fingerprint give the same bytes.

It is part of ETags and of the addresses of pictures, so that caches never serve an outdated drawing, and unchanged
drawings are not downloaded again. The version number would not be enough: drawings also change between releases.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

import resources
from render_trio.observation import versions
from resources.content import assets
from resources.request import Request

CHARACTERS = 12  # of a hash: enough to tell editions apart
CODE = (".py", ".mo")


@functools.cache
def fingerprint() -> str:
    """Return a short name made from the drawing code, its artwork and texts, and the libraries below."""
    summed = hashlib.sha256(msgspec.json.encode(versions.versions()))
    for path in _sources():
        summed.update(path.name.encode())
        summed.update(path.read_bytes())
    return summed.hexdigest()[:CHARACTERS]


def etag(request: Request) -> str:
    """Return an ETag for the document of the request, without drawing it."""
    return hashlib.sha256(f"{fingerprint()} {request!r}".encode()).hexdigest()[:32]


def _sources() -> Iterator[Path]:
    package = Path(resources.__file__).parent
    yield from sorted(path for path in package.rglob("*") if path.suffix in CODE)
    for folder in (assets.static_directory(), assets.template_directory()):
        # What the pages on the web look like changes no document.
        yield from sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name != "web")
