"""The pages' style sheet, scripts and icons: read once at startup, served from memory, each under an address that
contains a hash of its content.

Requests can't reach other files: a name is looked up in a table and never joined to a path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quart import Blueprint, Response, abort, request

from render_trio.web.addresses import address
from render_trio.web.openapi.operation import describe
from render_trio.web.responses import FOR_EVER, REVALIDATED, EncodedBody, encode_body, encoded_response

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
VERSION_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """The files by name."""

    by_name: Mapping[str, EncodedBody]

    def address(self, name: str) -> str:
        """Return the address to use in pages. It changes with the content, so browsers may cache the file for ever."""
        query = f"v={self.by_name[name].etag}" if name in self.by_name else ""
        return address(f"/static/{name}", query)

    def routes(self) -> Blueprint:
        """Return the route that serves the files."""
        part = Blueprint("files", __name__)

        @part.get("/static/<path:name>")
        @describe("A style sheet, script or icon of the pages", {200: {"*/*": ""}, 404: {}})
        async def file(name: str) -> Response:
            found = self.by_name.get(name)
            if found is None:
                abort(404)
            return encoded_response(found, FOR_EVER if request.args.get("v") == found.etag else REVALIDATED)

        return part


def read(directory: Path) -> StaticFiles:
    """Return the directory's files that have one of TYPES as suffix; none if the directory doesn't exist."""
    found = {}
    for path in sorted(directory.glob("*")):
        if path.suffix in TYPES and path.is_file():
            content = path.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:VERSION_CHARACTERS]
            found[path.name] = encode_body(content, TYPES[path.suffix], version)
    return StaticFiles(found)
