"""One HTTP request → the whole response, repeated where that can help.

This module is the boundary for httpx: every exception that httpx raises becomes a QueueError. Retries are spaced by
full-jitter exponential backoff, and by at least what the server requests (Retry-After). A request that was refused
because its token has been replaced is repeated at once with the new one. A response counts only if it
is the queue's own: a proxy or a captive portal may answer with unrelated content and status 200, and a task must not
be deleted when its result was not inserted.

The worker and the producers' clients use the same connection, each over a transport of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from render_trio.credentials.redaction import redacted, shown_url, split_user_info
from render_trio.credentials.tokens import authorization
from render_trio.errors import CredentialsError, QueueRefusedError, QueueUnavailableError
from render_trio.observation import trace_context
from render_trio.queue.interface import MAX_RETRY_AFTER, REQUEST_SECONDS
from render_trio.queue.task_queue.faults import NETWORK_FAULTS, reason_of
from render_trio.queue.task_queue.transport import LoopTransport, Transport, new_request, timeouts

ATTEMPTS = 4
INITIAL_BACKOFF, MAX_BACKOFF = 0.1, 5.0  # s; full jitter below a bound that doubles
RESPONSE_BYTES = 48 * 1024 * 1024  # a lease returns at most 32 MB of payloads
BUSY_REASONS = ("rateLimitExceeded", "userRateLimitExceeded")  # a 403 with one of these reasons means 429


class QueueConnection:
    """The connection to one queue, with a connection pool of its own; close it with `aclose`.

    `address` is the base address for `path`, unless a discovery document provides it. A user name and password in an
    address become a header; no message contains them.
    """

    def __init__(
        self,
        address: str,
        path: str,
        *,
        timeout: float,
        discovery_url: str = "",
        token: str = "",
        token_file: Path | None = None,
        transport: Transport | None = None,
    ) -> None:
        discovery_url = discovery_url.replace("{api}", "taskqueue").replace("{apiVersion}", "v1beta2")
        self._path = path
        self._discovery_url, self._discovery_header = split_user_info(discovery_url)
        self._display_address = shown_url(discovery_url or address)
        address, from_url = split_user_info(address)
        self._service = "" if discovery_url else address
        self._timeout = timeout
        self._authorization = authorization(token, token_file, "" if discovery_url else from_url)
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
                response = await self._send_authorised(
                    method,
                    url,
                    deadline,
                    query=query,
                    body=body,
                    headers=trace_context.headers() | (headers or {}),
                    extra_time=extra_time,
                )
            except CredentialsError as error:
                reason = str(error)
            except NETWORK_FAULTS as fault:
                reason = reason_of(fault)
                await self._reset(fault)
            else:
                if accepts(response):
                    response.extensions["attempt"] = attempt
                    return response
                reason, pause = self._authorization.hide(describe(response)), _retry_after(response)
                if not (response.is_success or _is_busy(response)):
                    raise QueueRefusedError(f"the queue refused {method} {path}: {reason}{_advice(response)}")
            backoff = self._random.uniform(0, min(MAX_BACKOFF, INITIAL_BACKOFF * 2**attempt))
            if attempt == attempts or self._transport.now() + pause + backoff > last_start:
                break
            await self._transport.sleep(pause + backoff)
        raise QueueUnavailableError(
            f"the queue at {self._display_address} does not answer {method} {path}: {reason}", pause
        )

    async def _send_authorised(
        self,
        method: str,
        url: str,
        deadline: float,
        *,
        query: dict[str, Any] | None,
        body: dict[str, Any] | None,
        headers: dict[str, str] | None,
        extra_time: float,
    ) -> httpx.Response:
        """Return the response; after a 401, look for a new token, and send the request once more if there is one.

        A refused request had no effect, so every request may be repeated. Raises CredentialsError, and what `_send`
        raises.
        """
        header = self._authorization.header()
        while True:
            authorised = ({"Authorization": header} if header else {}) | (headers or {})
            response = await self._send(
                method, url, deadline, query=query, body=body, headers=authorised, extra_time=extra_time
            )
            if response.status_code != 401 or not self._authorization.changed():
                return response
            header = self._authorization.header()

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
            header = {"Authorization": self._discovery_header} if self._discovery_header else {}
            response = await self._send("GET", self._discovery_url, deadline, headers=header)
            if _is_busy(response):
                raise QueueUnavailableError(f"{self._display_address}: {describe(response)}", _retry_after(response))
            self._service = _service_address(response, self._display_address)
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
    """Return the status code and the queue's own message, shortened, for logs and errors.

    Any other content is not quoted: a proxy may repeat the request in it, with its token or its payload.
    """
    if message := error_of(response).get("message"):
        return f"{response.status_code} {redacted(str(message)[:300])}"
    kind = response.headers.get("Content-Type", "no type")[:60]
    return f"{response.status_code}, not from the queue itself ({kind}, {len(response.content)} bytes)"


def _advice(response: httpx.Response) -> str:
    """Return what to set if the queue requires a token, or another one."""
    return "; set QUEUE_TOKEN or QUEUE_TOKEN_FILE to a token that it accepts" if response.status_code == 401 else ""


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
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        shown = shown_url(root)[:60]
        raise QueueRefusedError(f"rootUrl in {url} is {shown!r}; allowed: an http or https address without a password")
    return root + path
