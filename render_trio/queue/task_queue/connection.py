"""One HTTP request → the whole response, repeated where that can help.

This module is the boundary for httpx: every exception that httpx raises becomes a QueueError. Retries are spaced by
full-jitter exponential backoff, and by at least what the server requests (Retry-After). A response counts only if it
is the queue's own: a proxy or a captive portal may answer with unrelated content and status 200, and a task must not
be deleted when its result was not inserted.

The worker and the producers' clients use the same connection, each over a transport of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from render_trio.errors import QueueRefusedError, QueueUnavailableError
from render_trio.observation import trace_context
from render_trio.queue.interface import MAX_RETRY_AFTER, REQUEST_SECONDS
from render_trio.queue.task_queue.transport import LoopTransport, Transport, new_request, timeouts

ATTEMPTS = 4
INITIAL_BACKOFF, MAX_BACKOFF = 0.1, 5.0  # s; full jitter below a bound that doubles
RESPONSE_BYTES = 48 * 1024 * 1024  # a lease returns at most 32 MB of payloads
BUSY_REASONS = ("rateLimitExceeded", "userRateLimitExceeded")  # a 403 with one of these reasons means 429

# The exceptions of httpx that a fault of the network or the server causes. RemoteProtocolError (a connection closed
# without a response) is not a NetworkError in httpx's hierarchy; an invalid redirect raises InvalidURL.
NETWORK_FAULTS = (
    httpx.TransportError,
    httpx.DecodingError,
    httpx.StreamError,
    httpx.TooManyRedirects,
    httpx.InvalidURL,
)


class QueueConnection:
    """The connection to one queue, with a connection pool of its own; close it with `aclose`.

    `address` is the base address for `path`, unless a discovery document provides it.
    """

    def __init__(
        self,
        address: str,
        path: str,
        *,
        timeout: float,
        discovery_url: str = "",
        token: str = "",
        transport: Transport | None = None,
    ) -> None:
        self._path = path
        self._discovery_url = discovery_url.replace("{api}", "taskqueue").replace("{apiVersion}", "v1beta2")
        self._display_address = discovery_url or address
        self._service = "" if discovery_url else address
        self._timeout = timeout
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._random = random.Random()
        self._transport = transport if transport is not None else LoopTransport()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def sleep(self, seconds: float) -> None:
        """Wait, on any event loop or none."""
        await self._transport.sleep(seconds)

    async def request(
        self,
        method: str,
        path: str,
        accepts: Callable[[httpx.Response], bool],
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        repeat: bool = True,
        extra_time: float = 0,
    ) -> httpx.Response:
        """Return the first response that `accepts` approves; see `was_repeated`.

        `extra_time`: s that the queue may hold the request.

        Raises QueueUnavailableError, QueueRefusedError.
        """
        attempts = ATTEMPTS if repeat else 1
        last_start = self._transport.now() + REQUEST_SECONDS
        for attempt in range(1, attempts + 1):
            pause = 0.0
            deadline = self._transport.now() + self._timeout + extra_time
            try:
                url = await self._address(deadline) + path
                response = await self._send(
                    method,
                    url,
                    deadline,
                    query=query,
                    body=body,
                    headers=self._headers | trace_context.headers() | (headers or {}),
                    extra_time=extra_time,
                )
            except NETWORK_FAULTS as fault:
                reason = f"{type(fault).__name__}: {fault}"
                await self._reset(fault)
            else:
                if accepts(response):
                    response.extensions["attempt"] = attempt
                    return response
                reason, pause = describe(response), _retry_after(response)
                if not (response.is_success or _is_busy(response)):
                    raise QueueRefusedError(f"the queue refused {method} {path}: {reason}")
            backoff = self._random.uniform(0, min(MAX_BACKOFF, INITIAL_BACKOFF * 2**attempt))
            if attempt == attempts or self._transport.now() + pause + backoff > last_start:
                break
            await self._transport.sleep(pause + backoff)
        raise QueueUnavailableError(
            f"the queue at {self._display_address} does not answer {method} {path}: {reason}", pause
        )

    async def _send(
        self,
        method: str,
        url: str,
        deadline: float,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        extra_time: float = 0,
    ) -> httpx.Response:
        """Return the whole response. Raises the exceptions of httpx."""
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers = (headers or {}) | {"Content-Type": "application/json"}
        request = new_request(
            method, url, params=query, content=content, headers=headers, timeout=timeouts(self._timeout, extra_time)
        )
        return await self._transport.send(request, seconds=deadline - self._transport.now(), limit=RESPONSE_BYTES)

    async def _address(self, deadline: float) -> str:
        """Return the address of the queue, from the discovery document if one is configured."""
        if not self._service:
            response = await self._send("GET", self._discovery_url, deadline)
            if _is_busy(response):
                raise QueueUnavailableError(f"{self._discovery_url}: {describe(response)}", _retry_after(response))
            self._service = _service_address(response, self._discovery_url)
        return self._service + self._path

    async def _reset(self, fault: Exception) -> None:
        """Discard what may have caused the fault: a poisoned pool, or an address that the queue no longer has."""
        if isinstance(fault, httpx.PoolTimeout):
            await self._transport.replace_pool()
        if self._discovery_url:
            self._service = ""


def object_of(response: httpx.Response) -> dict[str, Any] | None:
    """Return the JSON object in the response, or None if its body is not one."""
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def error_of(response: httpx.Response) -> dict[str, Any]:
    """Return the error object of the queue's own error response; empty if the response is something else."""
    error = (object_of(response) or {}).get("error")
    return error if isinstance(error, dict) and error.get("code") == response.status_code else {}


def is_error(response: httpx.Response, *codes: int) -> bool:
    """Return whether the queue itself, not a proxy in front of it, answered with one of these error codes."""
    return response.status_code in codes and bool(error_of(response))


def was_repeated(response: httpx.Response) -> bool:
    """Return whether the request was sent more than once: an earlier attempt may have had its effect, too."""
    return int(response.extensions["attempt"]) > 1


def describe(response: httpx.Response) -> str:
    """Return the status code and a shortened message, for logs and errors."""
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


def _service_address(response: httpx.Response, url: str) -> str:
    """Return the address in a discovery document. Raises QueueRefusedError if it has no valid address."""
    document = object_of(response) or {}
    root, path = document.get("rootUrl"), document.get("servicePath")
    if not response.is_success or not isinstance(root, str) or not isinstance(path, str):
        raise QueueRefusedError(
            f"{url} is not a discovery document with rootUrl and servicePath; it answered {describe(response)}"
        )
    try:
        parsed = httpx.URL(root + path)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise QueueRefusedError(f"rootUrl in {url} is {root[:60]!r}; allowed: an http or https address")
    return root + path
