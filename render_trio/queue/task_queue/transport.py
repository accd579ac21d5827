"""A request's parts → the whole response, in two ways that share everything above: on an event loop, or blocking.

The code above is written once, as coroutines over a `Transport`. On an event loop (trio or asyncio, through anyio) they
are awaited. The coroutines of `BlockingTransport` block instead of suspending, so that those above can be run without
an event loop. The alternative, a second copy of each operation without `await`, would have to be kept in step by hand.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, Protocol, cast

import anyio
import httpx

from render_trio.credentials.certificates import trusting
from render_trio.observation.versions import __version__

# Below the shortest keep-alive of the queue and of other servers (5 s), so that no request is sent on a connection that
# the server is about to close.
KEEPALIVE_SECONDS = 4.0
CONNECTIONS = 16  # at least twice the tasks that share a client: cancellation poisons a smaller pool
# Share of the response timeout that may be spent waiting for a pooled connection. It must expire first, so that a
# poisoned pool is recognised as the cause.
POOL_SHARE = 0.5
HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": f"render-trio/{__version__}"}


class Transport(Protocol):
    """What a client needs of its surroundings: responses, a clock (s, monotonic) and pauses."""

    def now(self) -> float:
        """Return the time in s; only differences have a meaning."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def send(self, request: httpx.Request, *, seconds: float, limit: int) -> httpx.Response:
        """Return the whole response, which must arrive within `seconds`. Redirects are not followed.

        Raises the exceptions of httpx: ReadTimeout after `seconds`, RemoteProtocolError for more than `limit` bytes.
        """
        ...

    async def replace_pool(self) -> None:
        """Discard all connections, those in use too, if cancelled requests can have left some of them unusable."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


class LoopTransport:
    """Requests on the running event loop, trio or asyncio.

    `ca_file` has certificates of authorities to trust in addition to the usual ones. Proxies of the environment are not
    used (`trust_env`): the queue is a neighbour, which a proxy for the web doesn't reach. Raises CredentialsError.
    """

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file
        self._client = self._new_client()

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(limits=_limits(), trust_env=False, verify=trusting(self._ca_file))

    def now(self) -> float:
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def send(self, request: httpx.Request, *, seconds: float, limit: int) -> httpx.Response:
        parts = _Parts(limit)
        try:
            with anyio.fail_after(max(0.0, seconds)) as scope:
                response = await self._client.send(request, stream=True)
                try:
                    async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_bytes())) as received:
                        async for part in received:
                            if not parts.add(part):
                                # Cancelling the next read also closes httpx's inner generators. Leaving the loop
                                # would leave them to the garbage collector.
                                scope.cancel()
                finally:
                    await response.aclose()
        except TimeoutError:
            raise _too_slow(seconds) from None
        return parts.response(response)

    async def replace_pool(self) -> None:
        discarded, self._client = self._client, self._new_client()
        await discarded.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()


class BlockingTransport:
    """Requests that block the calling thread. Several threads may share it. See `LoopTransport` for `ca_file`."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._client = httpx.Client(limits=_limits(), trust_env=False, verify=trusting(ca_file))

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - blocking is this class's purpose

    async def send(self, request: httpx.Request, *, seconds: float, limit: int) -> httpx.Response:
        # Nothing can interrupt a blocking read. Its own timeout bounds it, and the total is checked between reads.
        deadline = time.monotonic() + seconds
        response = self._client.send(request, stream=True)
        with closing(response), closing(cast(Generator[bytes, None, None], response.iter_bytes())) as received:
            parts = _Parts(limit)
            for part in received:
                if not parts.add(part):
                    break
                if time.monotonic() > deadline:
                    raise _too_slow(seconds)
        return parts.response(response)

    async def replace_pool(self) -> None:
        return  # other threads use it, and without cancellation nothing can poison it

    async def aclose(self) -> None:
        self._client.close()


def new_request(
    method: str,
    url: str | httpx.URL,
    *,
    timeout: httpx.Timeout,
    params: dict[str, Any] | None = None,
    content: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Request:
    """Return a request with the headers that each of ours has. Raises httpx.InvalidURL."""
    headers = HEADERS | (headers or {})
    extensions = {"timeout": timeout.as_dict()}
    request = httpx.Request(method, url, params=params, content=content, headers=headers, extensions=extensions)
    request.stream = _Body(request.content)
    return request


def timeouts(seconds: float, extra: float = 0) -> httpx.Timeout:
    """Return the time limits for the parts of a request; `extra`: s that the server may hold it before it answers."""
    return httpx.Timeout(seconds, read=seconds + extra, pool=seconds * POOL_SHARE)


def _limits() -> httpx.Limits:
    return httpx.Limits(
        max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS
    )


def _too_slow(seconds: float) -> httpx.ReadTimeout:
    return httpx.ReadTimeout(f"no complete response within {seconds:.0f} s")


class _Body(httpx.AsyncByteStream, httpx.SyncByteStream):
    """The body of a request, in one part.

    httpx's own is an async generator: a request that is cancelled while it is sent leaves the generator to the garbage
    collector, which then reports an error.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._content,))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _OnePart(self._content)


class _OnePart:
    def __init__(self, content: bytes) -> None:
        self._parts = [content]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._parts:
            raise StopAsyncIteration
        return self._parts.pop()


class _Parts:
    """The body of a response while it arrives."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> bool:
        """Add a part, and return whether the limit still allows more."""
        self._size += len(part)
        if self._size <= self._limit:
            self._parts.append(part)
        return self._size <= self._limit

    def response(self, streamed: httpx.Response) -> httpx.Response:
        """Return the response with its whole body. Raises httpx.RemoteProtocolError if it exceeds the limit."""
        if self._size > self._limit:
            raise httpx.RemoteProtocolError(f"a response of more than {self._limit} bytes")
        kept = {name: value for name, value in streamed.headers.items() if name != "content-encoding"}
        return httpx.Response(
            streamed.status_code, headers=kept, content=b"".join(self._parts), request=streamed.request
        )
