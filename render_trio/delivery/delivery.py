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

    def __init__(self, inline_bytes: int, store: DocumentStore | None, web_store: DocumentStore | None = None) -> None:
        """`web_store` is for the documents of tasks from the web; without it, they are stored like the others."""
        self._inline_bytes = inline_bytes
        self._store = store
        self._for_web = None if web_store is None else Delivery(inline_bytes, web_store)
        self._limiter = trio.CapacityLimiter(STORE_THREADS)

    @property
    def for_web(self) -> Delivery:
        """The delivery of documents of tasks from the web."""
        return self if self._for_web is None else self._for_web

    def needs_store(self, pdf: bytes) -> bool:
        """Return whether the document is too large for its result."""
        return len(pdf) > self._inline_bytes

    async def deliver(self, pdf: bytes, sha256: str, seconds: float = STORE_SECONDS) -> str | None:
        """Return the address of the stored document, or None if it is small enough for its result.

        Raises DeliveryError when the store fails or takes longer than `seconds`, TooLargeError when there is no store.
        """
        if not self.needs_store(pdf):
            return None
        if self._store is None:
            raise TooLargeError(
                f"the document has {len(pdf)} bytes; MAX_QUEUE_TASK_SIZE allows {self._inline_bytes}, "
                "and DOCUMENT_STORE is not set"
            )
        # Abandoning the thread is harmless: documents are named by their content, so storing one late or twice
        # changes nothing.
        try:
            with trio.fail_after(seconds):
                return await trio.to_thread.run_sync(
                    self._store.put, pdf, sha256, limiter=self._limiter, abandon_on_cancel=True
                )
        except trio.TooSlowError:
            raise DeliveryError(
                f"document store: storing a document took longer than {seconds:.0f} s; "
                "check its disk, or the network and the server behind it"
            ) from None
