"""The link in a result → the document, fetched with limits and checked, or the reason why not.

A link is untrusted like the rest of a result. http and https links are fetched without the queue's token, and what
arrives counts only if it has the digest in the result. The path of a file link is never opened: the document is read
from the folder that the caller configured, under the name that a store gives it, `<sha256>.pdf`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from render_trio.credentials.redaction import shown_url
from render_trio.errors import BrokenResultError, UnavailableError
from render_trio.queue.messages import LinkResult
from render_trio.queue.reading import check_document
from render_trio.queue.task_queue.faults import NETWORK_FAULTS, reason_of
from render_trio.queue.task_queue.transport import Transport, new_request, timeouts

FETCH_SECONDS = 60.0  # for a document, with all redirects
RESPONSE_SECONDS = 20.0  # for a part of a response
MAX_REDIRECTS = 5
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
# Opening a named pipe must not block; Windows must not translate line ends.
OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
REDIRECTS = (301, 302, 303, 307, 308)


class Links:
    """Fetches linked documents over a transport of its own, so that no token of the queue's is sent elsewhere.

    `folder`: where file links may be read, the folder that the service has as DOCUMENT_STORE; None refuses them.
    """

    def __init__(self, transport: Transport, folder: Path | None, max_bytes: int = MAX_DOCUMENT_BYTES) -> None:
        self._transport = transport
        self._folder = folder
        self._max_bytes = max_bytes

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def fetch(self, result: LinkResult) -> bytes:
        """Return the document behind a link.

        Raises UnavailableError if it can't be fetched at the moment, and BrokenResultError if the link can't be
        followed or leads to something else.
        """
        try:
            scheme = urlsplit(result.url).scheme
        except ValueError as error:
            raise BrokenResultError(f"url is {shown_url(result.url)[:60]!r}: {error}", result.task_id) from None
        if scheme in ("http", "https"):
            document = await self._download(result)
        elif scheme == "file":
            document = self._read(result)
        else:
            message = f"url is {shown_url(result.url)[:60]!r}; allowed: an http, https or file address"
            raise BrokenResultError(message, result.task_id)
        check_document(document, result.sha256, result.task_id)
        return document

    async def _download(self, result: LinkResult) -> bytes:
        deadline = self._transport.now() + FETCH_SECONDS
        url = httpx.URL()
        try:
            url = httpx.URL(result.url)
            for _ in range(1 + MAX_REDIRECTS):
                request = new_request("GET", url, timeout=timeouts(RESPONSE_SECONDS))
                seconds = deadline - self._transport.now()
                response = await self._transport.send(request, seconds=seconds, limit=self._max_bytes)
                if response.status_code not in REDIRECTS:
                    break
                url = self._target(url, response)
            else:
                raise UnavailableError(f"{shown_url(result.url)[:200]} has more than {MAX_REDIRECTS} redirects")
        except httpx.InvalidURL as error:
            raise BrokenResultError(f"url is {shown_url(result.url)[:60]!r}: {error}", result.task_id) from None
        except NETWORK_FAULTS as fault:
            if isinstance(fault, httpx.PoolTimeout):
                await self._transport.replace_pool()
            raise UnavailableError(f"{shown_url(str(url))} can't be fetched: {reason_of(fault)}") from fault
        if response.status_code != 200:
            raise UnavailableError(f"{shown_url(str(url))} answers with status {response.status_code}")
        return response.content

    @staticmethod
    def _target(url: httpx.URL, response: httpx.Response) -> httpx.URL:
        """Return where a redirect leads. Raises UnavailableError: the result is not at fault."""
        location = response.headers.get("Location", "")
        try:
            target = url.join(location)
        except httpx.InvalidURL:
            target = httpx.URL()
        if target.scheme not in ("http", "https") or not target.host:
            shown = shown_url(location)[:60]
            raise UnavailableError(f"{shown_url(str(url))} redirects to {shown!r}; allowed: an http or https address")
        return target

    def _read(self, result: LinkResult) -> bytes:
        """Return the document of a file link. Raises UnavailableError, BrokenResultError."""
        name = f"{result.sha256}.pdf"
        if not result.url.endswith(f"/{name}"):
            message = f"url is {result.url[:200]!r}; allowed for a file: a path that ends with /<sha256>.pdf"
            raise BrokenResultError(message, result.task_id)
        if self._folder is None:
            raise UnavailableError(
                f"{result.url[:200]} is a file in a document store, and no folder is configured; "
                "set the folder of the service's DOCUMENT_STORE"
            )
        path = self._folder / name
        try:
            descriptor = os.open(path, OPEN_FLAGS)
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise UnavailableError(f"{path} is not a regular file")
                if found.st_size > self._max_bytes:
                    raise UnavailableError(f"{path} has {found.st_size} bytes; allowed: {self._max_bytes}")
                return file.read()
        except OSError as error:
            raise UnavailableError(f"{path} can't be read: {error}") from error
