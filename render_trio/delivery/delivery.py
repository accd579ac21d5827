"""A finished PDF → the address of the stored document, or None when the PDF fits inside the result itself."""

from __future__ import annotations

from typing import Protocol

import trio

from render_trio.errors import DeliveryError, TooLargeError

STORE_SECONDS = 30.0  # time limit for storing a document: a store on a network may hang
STORE_THREADS = 8  # threads that may wait for the store at once, including those that were abandoned in it


class DocumentStore(Protocol):
    """A place for documents that are too large for the queue."""

    def put(self, pdf: bytes, sha256: str) -> str:
        """Store the document under its SHA-256 digest and return its address. Raises DeliveryError."""
        ...


class Delivery:
    """Decides whether a document travels inside its result or is stored and linked.

    `inline_bytes` is the size of the largest document that travels inside its result.
    """

    def __init__(self, inline_bytes: int, store: DocumentStore | None) -> None:
        self._inline_bytes = inline_bytes
        self._store = store
        self._limiter = trio.CapacityLimiter(STORE_THREADS)

    async def deliver(self, pdf: bytes, sha256: str) -> str | None:
        """Return the address of the stored document, or None if it is small enough for its result.

        Raises DeliveryError when the store fails, TooLargeError when there is no store.
        """
        if len(pdf) <= self._inline_bytes:
            return None
        if self._store is None:
            raise TooLargeError(
                f"the document has {len(pdf)} bytes; MAX_QUEUE_TASK_SIZE allows {self._inline_bytes}, "
                "and DOCUMENT_STORE is not set"
            )
        # Abandoning the thread is harmless: documents are named by their content, so storing one late or twice
        # changes nothing.
        try:
            with trio.fail_after(STORE_SECONDS):
                return await trio.to_thread.run_sync(
                    self._store.put, pdf, sha256, limiter=self._limiter, abandon_on_cancel=True
                )
        except trio.TooSlowError:
            raise DeliveryError(
                f"storing {len(pdf)} bytes in the document store took longer than {STORE_SECONDS:.0f} s"
            ) from None
