"""A finished document → the result that hands it over: inside the queue, or stored and linked to."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Protocol

import trio

from render_trio.errors import DeliveryError, TooLargeError
from render_trio.queue.messages import DocumentResult, LinkResult, Result
from render_trio.rendering.finisher import FinishedDocument

STORE_SECONDS = 30.0  # for the store to take a document; one on a network may hang
STORE_THREADS = 8  # that may wait for the store at once, those included that were left behind in it


class DocumentStore(Protocol):
    """Where documents lie that are too large for the queue."""

    def put(self, document: FinishedDocument) -> str:
        """Store the document and return its public address. Raises DeliveryError."""
        ...


class DirectoryStore:
    """Documents in a folder (a mounted bucket too), named by their content: storing twice changes nothing."""

    def __init__(self, folder: Path, url_prefix: str) -> None:
        self._folder = folder
        self._url_prefix = url_prefix.rstrip("/")

    def put(self, document: FinishedDocument) -> str:
        """Store the document whole or not at all, and return its address. Raises DeliveryError."""
        name = f"{document.sha256}.pdf"
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                _write_whole(path, document.pdf)
        except OSError as error:
            raise DeliveryError(f"the document store did not take {len(document.pdf)} bytes: {error}") from error
        return f"{self._url_prefix}/{name}" if self._url_prefix else path.resolve().as_uri()

    def read(self, sha256: str) -> bytes | None:
        """Return the document of this digest, None when it isn't here. What is no digest is never made a path."""
        if not re.fullmatch(r"[0-9a-f]{64}", sha256, re.ASCII):
            return None
        try:
            content = (self._folder / f"{sha256}.pdf").read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == sha256 else None


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there completely or not at all, whenever we are killed."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


class Delivery:
    """Decides how a document travels. `inline_bytes` is the largest that goes into the queue itself."""

    def __init__(self, inline_bytes: int, store: DocumentStore | None) -> None:
        self._inline_bytes = inline_bytes
        self._store = store
        self._limiter = trio.CapacityLimiter(STORE_THREADS)

    async def result(self, task_id: str, document: FinishedDocument) -> Result:
        """Return the result for the queue, once the document is safe. Raises DeliveryError, TooLargeError."""
        if len(document.pdf) <= self._inline_bytes:
            return DocumentResult(
                success=True,
                task_id=task_id,
                filename=document.filename,
                document=base64.b64encode(document.pdf).decode(),
                pages=document.pages,
                sha256=document.sha256,
            )
        if self._store is None:
            raise TooLargeError(
                f"the document has {len(document.pdf)} bytes; MAX_QUEUE_TASK_SIZE allows {self._inline_bytes}, "
                "and no DOCUMENT_STORE is set"
            )
        return LinkResult(
            task_id=task_id,
            filename=document.filename,
            url=await self._stored(self._store, document),
            pages=document.pages,
            sha256=document.sha256,
        )

    async def _stored(self, store: DocumentStore, document: FinishedDocument) -> str:
        """Return the stored document's address. What is stored too late does no harm: it is named by its content."""
        try:
            with trio.fail_after(STORE_SECONDS):
                return await trio.to_thread.run_sync(store.put, document, limiter=self._limiter, abandon_on_cancel=True)
        except trio.TooSlowError:
            size = len(document.pdf)
            raise DeliveryError(f"the document store did not take {size} bytes within {STORE_SECONDS:.0f} s") from None
