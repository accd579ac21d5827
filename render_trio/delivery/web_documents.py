"""The documents of tasks from the web: a folder of their own inside the document store, because they expire earlier."""

from __future__ import annotations

from render_trio.delivery.directory import DirectoryStore

WEB_FOLDER = "web"
# After its result: the result is deleted within this time after it has expired, and the document must not go first.
MARGIN_SECONDS = 60.0
SWEEP_SECONDS = 10.0


class WebDocuments:
    """Reads the documents of tasks from the web."""

    def __init__(self, store: DirectoryStore) -> None:
        self.folder = store.inside(WEB_FOLDER)
        self._store = store

    def read(self, sha256: str) -> bytes | None:
        """Return the document with this digest, None if it isn't stored here. Raises UnavailableError.

        A service of version 0.1.0 stored it among those of producers.
        """
        content = self._store.read(sha256)
        return self.folder.read(sha256) if content is None and self.folder.exists() else content
