"""The queue's verbs over HTTP: the Task Queue REST API v1beta2, the only queue there is so far.

Foreign exceptions end here: whatever httpx raises comes out as a QueueError. A request is repeated only
where repeating does no harm; a lease whose answer was lost is not (its tasks come back by themselves).
"""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import httpx
import msgspec
import trio

from render_trio.errors import LeaseLostError, QueueRefusedError, QueueUnavailableError
from render_trio.tasks import TASK_TAG, LeasedTask

ATTEMPTS = 4
BACKOFF_FIRST, BACKOFF_MOST = 0.1, 5.0  # s; full jitter below a bound that doubles
RETRY_AFTER_MOST = 30.0  # s that a server may make us wait
KEEPALIVE_SECONDS = 4.0  # below hypercorn's 5 s, so that we never write into a connection being closed
CONNECTIONS = 8  # at least twice the tasks that share a client: a smaller pool is poisoned by cancellation
ANSWER_BYTES = 48 * 1024 * 1024  # a lease brings at most 32 MB of payloads
SERVICE_PATH = "/taskqueue/v1beta2/projects/"

# What httpx raises when the network or the server is at fault. RemoteProtocolError (a connection closed
# without an answer) is no NetworkError in httpx's tree.
NETWORK_FAULTS = (httpx.TransportError, httpx.DecodingError, httpx.StreamError, httpx.TooManyRedirects)


@dataclass(frozen=True, slots=True)
class Lease:
    """Answer to a lease request. `waited`: the queue held the request until a task came, or its time was up."""

    tasks: tuple[LeasedTask, ...]
    waited: bool


@dataclass(frozen=True, slots=True)
class FoundTask:
    """A task that was looked at, not leased."""

    task: LeasedTask
    tag: str


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Figures of the queue. `oldest`: earliest moment at which a task can be leased, s since the epoch, 0 for none."""

    total: int
    oldest: int
    leased_last_minute: int


class TaskQueue:
    """One pull queue. A client of its own for each worker incarnation; close it with `aclose`."""

    def __init__(self, address: str, project: str, queue: str, *, timeout: float, discovery_url: str = "") -> None:
        self._address = address
        self._discovery_url = discovery_url
        self._project, self._queue = project, queue
        self._timeout = timeout
        self._tasks_url = "" if discovery_url else self._url(address + SERVICE_PATH)
        self._random = random.Random()
        self._client = self._new_client()

    def _url(self, service: str) -> str:
        return f"{service}{self._project}/taskqueues/{self._queue}/tasks"

    def _new_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            timeout=self._timeout,
            limits=httpx.Limits(
                max_connections=CONNECTIONS,
                max_keepalive_connections=CONNECTIONS,
                keepalive_expiry=KEEPALIVE_SECONDS,
            ),
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def lease(self, count: int, seconds: int, *, tag: str = TASK_TAG, wait: int = 0) -> Lease:
        """Lease at most `count` tasks of a tag for `seconds`; may be held up to `wait` s until there is one.

        Raises QueueUnavailableError, QueueRefusedError.
        """
        query = {"numTasks": count, "leaseSecs": seconds, "groupByTag": "true", "tag": tag}
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        response = await self._ask("POST", "/lease", query=query, headers=headers, repeat=False, extra_time=wait)
        items = _json(response).get("items", [])
        if not isinstance(items, list):
            raise QueueUnavailableError("the queue's answer holds no list of tasks")
        tasks = tuple(_leased(item) for item in items)
        return Lease(tasks, "wait" in response.headers.get("Preference-Applied", ""))

    async def insert(self, task_id: str, payload: str, tag: str) -> None:
        """Insert a task; one that is there already is as good. Raises QueueError."""
        body = {"id": task_id, "queueName": self._queue, "payloadBase64": payload, "tag": tag}
        await self._ask("POST", "", body=body, fine=(409,))

    async def renew(self, task: LeasedTask, seconds: int) -> LeasedTask:
        """Return the task with its lease ending `seconds` from now. Raises LeaseLostError, QueueError."""
        body = {"queueName": self._queue, "leaseTimestamp": str(task.lease_us)}
        response = await self._ask(
            "PATCH", f"/{task.id}", query={"newLeaseSeconds": seconds}, body=body, fine=(400, 404)
        )
        if response.status_code != 200:
            raise LeaseLostError(f"the lease of task {task.id} can't be renewed: {_message(response)}")
        return msgspec.structs.replace(task, lease_us=_leased(_json(response)).lease_us)

    async def release(self, task: LeasedTask) -> None:
        """Give the task back at once. One that is no longer ours stays as it is. Raises QueueError."""
        try:
            await self.renew(task, 0)
        except LeaseLostError:
            return

    async def delete(self, task_id: str) -> None:
        """Delete the task; one that is gone already is as good. Raises QueueError."""
        await self._ask("DELETE", f"/{task_id}", fine=(404,))

    async def get(self, task_id: str) -> FoundTask | None:
        """Return the task without leasing it, None when there is none. Raises QueueError."""
        response = await self._ask("GET", f"/{task_id}", fine=(404,), repeat=False)
        if response.status_code == 404:
            return None
        item = _json(response)
        return FoundTask(_leased(item), str(item.get("tag", "")))

    async def stats(self) -> QueueStats:
        """Return the queue's figures. Raises QueueError."""
        response = await self._ask("GET", "", query={"getStats": "true"}, repeat=False, of_queue=True)
        try:
            found = _json(response)["stats"]
            return QueueStats(int(found["totalTasks"]), int(found["oldestTask"]), int(found["leasedLastMinute"]))
        except (KeyError, TypeError, ValueError) as error:
            raise QueueUnavailableError(f"the queue's answer holds no figures: {error!r}") from error

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        fine: tuple[int, ...] = (),
        repeat: bool = True,
        extra_time: float = 0,
        of_queue: bool = False,
    ) -> httpx.Response:
        """Return the answer, 2xx or one of `fine`; repeats where that may help. Raises QueueError."""
        attempts = ATTEMPTS if repeat else 1
        for attempt in range(1, attempts + 1):
            try:
                tasks = await self._service()
                url = tasks.removesuffix("/tasks") if of_queue else tasks + path
                with trio.fail_after(self._timeout + extra_time):
                    response = await self._send(method, url, query, body, headers or {}, extra_time)
            except (*NETWORK_FAULTS, trio.TooSlowError) as fault:
                reason, pause = f"{type(fault).__name__}: {fault}", 0.0
                if isinstance(fault, httpx.PoolTimeout):
                    await self._replace_client()
            else:
                if response.is_success or response.status_code in fine:
                    return response
                reason, pause = _message(response), _retry_after(response)
                if response.status_code != 429 and response.status_code < 500:
                    raise QueueRefusedError(f"the queue refused {method} {path}: {reason}")
            if attempt < attempts:
                bound = min(BACKOFF_MOST, BACKOFF_FIRST * 2**attempt)
                await trio.sleep(pause + self._random.uniform(0, bound))
        raise QueueUnavailableError(f"the queue at {self._address} does not answer {method} {path}: {reason}")

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
        timeout = httpx.Timeout(self._timeout, read=self._timeout + extra_time)
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

    async def _service(self) -> str:
        """Return the address of the queue's tasks, by the discovery document when there is one."""
        if not self._tasks_url:
            url = self._discovery_url.replace("{api}", "taskqueue").replace("{apiVersion}", "v1beta2")
            document = _json(await self._send("GET", url, None, None, {}, 0))
            root, path = document.get("rootUrl"), document.get("servicePath")
            if not isinstance(root, str) or not isinstance(path, str):
                raise QueueRefusedError(f"{url} is no discovery document: rootUrl and servicePath are missing")
            self._tasks_url = self._url(root + path)
        return self._tasks_url

    async def _replace_client(self) -> None:
        poisoned, self._client = self._client, self._new_client()
        await poisoned.aclose()


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise QueueUnavailableError(f"the queue's answer is not JSON: {error}") from error


def _leased(item: Any) -> LeasedTask:
    """Return the task of an answer. Raises QueueUnavailableError when it isn't one."""
    try:
        return LeasedTask(
            id=str(item["id"]),
            payload=str(item.get("payloadBase64", "")),
            lease_us=int(item["leaseTimestamp"]),
            enqueued_us=int(item["enqueueTimestamp"]),
            retry_count=int(item.get("retry_count", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise QueueUnavailableError(f"the queue's answer holds no task: {error!r}") from error


def _message(response: httpx.Response) -> str:
    try:
        message = msgspec.json.decode(response.content)["error"]["message"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        message = response.content[:100].decode(errors="replace")
    return f"{response.status_code} {str(message)[:300]}"


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(float(value), RETRY_AFTER_MOST) if re.fullmatch(r"[0-9]{1,6}", value) else 0.0
