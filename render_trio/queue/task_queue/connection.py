"""How the queue is asked over HTTP: one request → its whole answer, repeated where repeating helps.

Foreign exceptions end here: whatever httpx raises comes out as a QueueError. Between two attempts lies a
pause, drawn at random below a bound that doubles, and at least what the queue asks for (Retry-After).
An answer counts only if it is the queue's own: between us and it may stand something that answers
rubbish with status 200, and a result that was not inserted must not let its task be deleted.
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, cast

import httpx
import msgspec
import trio

from render_trio.errors import QueueRefusedError, QueueUnavailableError

ATTEMPTS = 4
VERB_SECONDS = 30.0  # after which an attempt that failed is not followed by another
INITIAL_BACKOFF, MAX_BACKOFF = 0.1, 5.0  # s; full jitter below a bound that doubles
MAX_RETRY_AFTER = 30.0  # s that a server may make us wait
KEEPALIVE_SECONDS = 4.0  # below hypercorn's 5 s, so that we never write into a connection being closed
CONNECTIONS = 16  # at least twice the tasks that share a client: a smaller pool is poisoned by cancellation
POOL_SHARE = 0.5  # of the time for an answer that may pass in the pool: it must be over first, to be seen as its cause
ANSWER_BYTES = 48 * 1024 * 1024  # a lease brings at most 32 MB of payloads
BUSY_REASONS = ("rateLimitExceeded", "userRateLimitExceeded")  # a 403 that says so means 429

# What httpx raises when the network or the server is at fault. RemoteProtocolError (a connection closed
# without an answer) is no NetworkError in httpx's tree; InvalidURL is what a wrong redirect gives.
NETWORK_FAULTS = (
    httpx.TransportError,
    httpx.DecodingError,
    httpx.StreamError,
    httpx.TooManyRedirects,
    httpx.InvalidURL,
)


class QueueConnection:
    """The way to one queue, with a pool of connections of its own; close it with `aclose`.

    `address` is where `path` begins, unless a discovery document says it.
    """

    def __init__(self, address: str, path: str, *, timeout: float, discovery_url: str = "") -> None:
        self._path = path
        self._discovery_url = discovery_url.replace("{api}", "taskqueue").replace("{apiVersion}", "v1beta2")
        self._shown = discovery_url or address
        self._service = "" if discovery_url else address
        self._timeout = timeout
        self._random = random.Random()
        self._client = self._new_client()

    def _new_client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=KEEPALIVE_SECONDS,
        )
        return httpx.AsyncClient(timeout=self._timeout, limits=limits, trust_env=False)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        fine: Callable[[httpx.Response], bool],
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        repeat: bool = True,
        extra_time: float = 0,
    ) -> httpx.Response:
        """Return an answer that `fine` says is one. `extra_time`: s that the queue may hold the request.

        Raises QueueUnavailableError, QueueRefusedError.
        """
        attempts = ATTEMPTS if repeat else 1
        give_up = trio.current_time() + VERB_SECONDS
        for attempt in range(1, attempts + 1):
            pause = 0.0
            try:
                with trio.fail_after(self._timeout + extra_time):
                    url = await self._address() + path
                    response = await self._send(method, url, query, body, headers or {}, extra_time)
            except (*NETWORK_FAULTS, trio.TooSlowError) as fault:
                reason = f"{type(fault).__name__}: {fault}"
                await self._begin_anew(fault)
            else:
                if fine(response):
                    return response
                reason, pause = message_of(response), _retry_after(response)
                if not (response.is_success or _is_busy(response)):
                    raise QueueRefusedError(f"the queue refused {method} {path}: {reason}")
            backoff = self._random.uniform(0, min(MAX_BACKOFF, INITIAL_BACKOFF * 2**attempt))
            if attempt == attempts or trio.current_time() + pause + backoff > give_up:
                break
            await trio.sleep(pause + backoff)
        raise QueueUnavailableError(f"the queue at {self._shown} does not answer {method} {path}: {reason}", pause)

    async def _send(
        self,
        method: str,
        url: str,
        query: dict[str, Any] | None,
        body: dict[str, Any] | None,
        headers: dict[str, str],
        extra_time: float,
    ) -> httpx.Response:
        """Return the whole answer, at most ANSWER_BYTES of it."""
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers = headers | {"Content-Type": "application/json"}
        timeout = httpx.Timeout(self._timeout, read=self._timeout + extra_time, pool=self._timeout * POOL_SHARE)
        async with self._client.stream(
            method, url, params=query, content=content, headers=headers, timeout=timeout
        ) as response:
            parts: list[bytes] = []
            size = 0
            async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_bytes())) as received:
                async for part in received:
                    size += len(part)
                    if size > ANSWER_BYTES:
                        raise httpx.RemoteProtocolError(f"an answer of over {ANSWER_BYTES} bytes")
                    parts.append(part)
        kept = {name: value for name, value in response.headers.items() if name != "content-encoding"}
        return httpx.Response(response.status_code, headers=kept, content=b"".join(parts), request=response.request)

    async def _address(self) -> str:
        """Return where the queue is, by the discovery document when there is one."""
        if not self._service:
            response = await self._send("GET", self._discovery_url, None, None, {}, 0)
            if _is_busy(response):
                raise QueueUnavailableError(f"{self._discovery_url}: {message_of(response)}", _retry_after(response))
            self._service = _service_of(response, self._discovery_url)
        return self._service + self._path

    async def _begin_anew(self, fault: Exception) -> None:
        """Forget what may be the fault's cause: a poisoned pool, an address that the queue has left."""
        if isinstance(fault, httpx.PoolTimeout):
            poisoned, self._client = self._client, self._new_client()
            await poisoned.aclose()
        if self._discovery_url:
            self._service = ""


def object_of(response: httpx.Response) -> dict[str, Any] | None:
    """Return the JSON object that the answer holds, None when it holds none."""
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def error_of(response: httpx.Response) -> dict[str, Any]:
    """Return the error that the queue tells in an answer of its own; empty when the answer isn't one."""
    error = (object_of(response) or {}).get("error")
    return error if isinstance(error, dict) and error.get("code") == response.status_code else {}


def says(response: httpx.Response, *codes: int) -> bool:
    """Return whether the queue itself, not something before it, answers with one of these errors."""
    return response.status_code in codes and bool(error_of(response))


def message_of(response: httpx.Response) -> str:
    """Return the answer in a few words, for a log."""
    message = error_of(response).get("message") or response.content[:100].decode(errors="replace")
    return f"{response.status_code} {str(message)[:300]}"


def _is_busy(response: httpx.Response) -> bool:
    if response.status_code == 403:
        errors = error_of(response).get("errors")
        return isinstance(errors, list) and any(
            isinstance(error, dict) and error.get("reason") in BUSY_REASONS for error in errors
        )
    return response.status_code in (408, 429) or response.status_code >= 500


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), MAX_RETRY_AFTER) if re.fullmatch(r"[0-9]{1,6}", value) else 0.0


def _service_of(response: httpx.Response, url: str) -> str:
    """Return the address in a discovery document. Raises QueueRefusedError when it is none."""
    document = object_of(response) or {}
    root, path = document.get("rootUrl"), document.get("servicePath")
    if not response.is_success or not isinstance(root, str) or not isinstance(path, str):
        raise QueueRefusedError(
            f"{url} gives no discovery document with rootUrl and servicePath, but {message_of(response)}"
        )
    try:
        parsed = httpx.URL(root + path)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise QueueRefusedError(f"rootUrl of {url} is {root[:60]!r}; allowed: an http or https address")
    return root + path
