"""Style sheet, scripts and marks of the pages: read once at the start, served from memory under addresses that change
with their content.

What was not read can't be asked for: a name is looked up, never joined to a path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quart import Blueprint, Response, abort, request

from render_trio.web.responses import FOR_EVER, REVALIDATED, Packed, packed, packed_reply

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
VERSION_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Files:
    """The files by name."""

    by_name: Mapping[str, Packed]

    def address(self, name: str) -> str:
        """Return the address that pages link to; browsers may keep what lies there for ever."""
        return f"/static/{name}?v={self.by_name[name].etag}" if name in self.by_name else f"/static/{name}"

    def routes(self) -> Blueprint:
        """Return the route of the files."""
        part = Blueprint("files", __name__)

        @part.get("/static/<path:name>")
        async def file(name: str) -> Response:
            found = self.by_name.get(name)
            if found is None:
                abort(404)
            return packed_reply(found, FOR_EVER if request.args.get("v") == found.etag else REVALIDATED)

        return part


def read(directory: Path) -> Files:
    """Return the files of a directory, those of a known type; none if there is no such directory."""
    found = {}
    for path in sorted(directory.glob("*")):
        if path.suffix in TYPES and path.is_file():
            content = path.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:VERSION_CHARACTERS]
            found[path.name] = packed(content, TYPES[path.suffix], version)
    return Files(found)
