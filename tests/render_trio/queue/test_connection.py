"""When a request to the queue is repeated, how long it may take, and what its response is taken for."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from render_trio.errors import QueueRefusedError, QueueUnavailableError
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.queue.task_queue.connection import ATTEMPTS

EMPTY = {"kind": "taskqueue#tasks"}
FOUND = {"id": "one", "leaseTimestamp": "5", "enqueueTimestamp": "3"}
DEEP = b'{"error": ' + b"[" * 48_000
Respond = Callable[[httpx.Request], Awaitable[httpx.Response]]


class FixedRandom(random.Random):
    """Draws the upper bound of the jitter, or a share of it."""

    def __init__(self, share: float = 1.0) -> None:
        super().__init__()
        self.share = share
        self.lowest: set[float] = set()

    def uniform(self, a: float, b: float) -> float:
        self.lowest.add(a)
        return a + self.share * (b - a)


class Queue:
    """A client whose requests are recorded with their times and answered by a function, or by one response."""

    def __init__(self, respond: Respond | httpx.Response, *, share: float = 1.0, **options: Any) -> None:
        self.times: list[float] = []
        self.requests: list[httpx.Request] = []
        self.random = FixedRandom(share)
        address = "" if "discovery_url" in options else "http://queue"
        self.client = TaskQueue(address, "p", "q", **{"timeout": 5, **options})
        self.client._connection._random = self.random
        transport: Any = self.client._connection._transport
        transport._client = httpx.AsyncClient(transport=httpx.MockTransport(self._respond))
        self._answer = respond

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        self.times.append(trio.current_time())
        self.requests.append(request)
        return self._answer if isinstance(self._answer, httpx.Response) else await self._answer(request)


def error(code: int, *reasons: Any, message: str = "why") -> httpx.Response:
    return httpx.Response(code, json={"error": {"code": code, "message": message, "errors": list(reasons)}})


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(408),
        httpx.Response(429),
        httpx.Response(500),
        httpx.Response(599),
        httpx.Response(200),
        httpx.Response(200, json=EMPTY | {"id": "another"}),
        httpx.Response(200, content=DEEP),
        httpx.Response(500, content=DEEP),
        error(403, {"reason": "rateLimitExceeded"}),
        error(403, "text", {"reason": "other"}, {"reason": "userRateLimitExceeded"}),
    ],
)
async def test_a_busy_queue_and_a_foreign_response_are_tried_again(
    response: httpx.Response, autojump_clock: MockClock
) -> None:
    queue = Queue(response)
    with pytest.raises(QueueUnavailableError, match="http://queue"):
        await queue.client.insert("one", "eA==", "task")
    assert len(queue.requests) == ATTEMPTS == 4


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(302, headers={"Location": "http://elsewhere/"}),
        httpx.Response(400),
        httpx.Response(401),
        httpx.Response(404),
        httpx.Response(407),
        httpx.Response(409),
        httpx.Response(428),
        httpx.Response(430),
        httpx.Response(499),
        httpx.Response(403),
        httpx.Response(403, content=DEEP),
        error(403),
        error(403, "rateLimitExceeded", {"reason": "forbidden"}),
        httpx.Response(403, json={"error": {"code": 403, "errors": {"reason": "rateLimitExceeded"}}}),
        # The error object of another status is a proxy's, not the queue's.
        httpx.Response(403, json={"error": {"code": 429, "errors": [{"reason": "rateLimitExceeded"}]}}),
        httpx.Response(409, json={"error": {"code": 500}}),
        httpx.Response(409, json={"error": "text"}),
    ],
)
async def test_a_refusal_is_not_tried_again(response: httpx.Response, autojump_clock: MockClock) -> None:
    queue = Queue(response)
    with pytest.raises(QueueRefusedError, match=f"the queue refused POST /tasks: {response.status_code}"):
        await queue.client.insert("one", "eA==", "task")
    assert len(queue.requests) == 1


async def test_the_pause_before_each_repetition_doubles_and_is_fully_jittered(autojump_clock: MockClock) -> None:
    queue = Queue(httpx.Response(500))
    with pytest.raises(QueueUnavailableError):
        await queue.client.insert("one", "eA==", "task")
    pauses = [later - earlier for earlier, later in zip(queue.times, queue.times[1:], strict=False)]
    assert pauses == pytest.approx([0.2, 0.4, 0.8])
    assert queue.random.lowest == {0}


@pytest.mark.parametrize(("value", "attempts"), [("10", 4), ("11", 3), ("16", 2), ("30", 2)])
async def test_no_request_is_repeated_later_than_30_s_after_the_first(
    value: str, attempts: int, autojump_clock: MockClock
) -> None:
    queue = Queue(httpx.Response(503, headers={"Retry-After": value}), share=0)
    with pytest.raises(QueueUnavailableError):
        await queue.client.insert("one", "eA==", "task")
    assert [moment - queue.times[0] for moment in queue.times] == [number * int(value) for number in range(attempts)]


@pytest.mark.parametrize(
    ("value", "pause"),
    [
        ("0", 0),
        ("7", 7),
        ("29", 29),
        ("30", 30),
        ("31", 30),
        ("999999", 30),
        ("1000000", 0),
        ("-5", 0),
        ("1.5", 0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0),
        ("", 0),
    ],
)
async def test_a_requested_pause_is_in_whole_seconds_and_bounded(
    value: str, pause: float, autojump_clock: MockClock
) -> None:
    queue = Queue(httpx.Response(503, headers={"Retry-After": value}))
    with pytest.raises(QueueUnavailableError) as raised:
        await queue.client.lease(1, 60)
    assert raised.value.pause == pause


def after(seconds: float, body: Any = EMPTY) -> Respond:
    async def respond(request: httpx.Request) -> httpx.Response:
        await trio.sleep(seconds)
        return httpx.Response(200, json=body)

    return respond


@pytest.mark.parametrize(
    ("seconds", "wait", "answered"), [(4.9, 0, True), (5.1, 0, False), (24.9, 20, True), (25.1, 20, False)]
)
async def test_a_response_may_take_the_time_limit_and_the_time_that_the_queue_may_hold_it(
    seconds: float, wait: int, answered: bool, autojump_clock: MockClock
) -> None:
    queue = Queue(after(seconds))
    started = trio.current_time()
    if answered:
        assert (await queue.client.lease(1, 60, wait=wait)).tasks == ()
    else:
        with pytest.raises(QueueUnavailableError, match="ReadTimeout"):
            await queue.client.lease(1, 60, wait=wait)
        assert trio.current_time() - started == pytest.approx(5 + wait)
    limits = queue.requests[0].extensions["timeout"]
    assert limits == {"connect": 5, "read": 5 + wait, "write": 5, "pool": 2.5}


async def test_each_attempt_has_the_whole_time_limit(autojump_clock: MockClock) -> None:
    queue = Queue(after(6), share=0)
    with pytest.raises(QueueUnavailableError):
        await queue.client.insert("one", "eA==", "task")
    assert [moment - queue.times[0] for moment in queue.times] == pytest.approx([0, 5, 10, 15])


DISCOVERY = "http://directory/{api}/{apiVersion}/rest"
DOCUMENT = {"rootUrl": "http://found/", "servicePath": "base/"}


async def test_a_discovery_document_is_read_once_without_the_token(autojump_clock: MockClock) -> None:
    async def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=DOCUMENT if request.url.host == "directory" else EMPTY)

    queue = Queue(respond, discovery_url=DISCOVERY, token="secret")
    await queue.client.lease(1, 60)
    await queue.client.lease(1, 60)
    sent = [(str(request.url).partition("?")[0], request.headers.get("Authorization")) for request in queue.requests]
    lease = ("http://found/base/p/taskqueues/q/tasks/lease", "Bearer secret")
    assert sent == [("http://directory/taskqueue/v1beta2/rest", None), lease, lease]


async def test_reading_the_discovery_document_counts_towards_the_time_limit(autojump_clock: MockClock) -> None:
    async def respond(request: httpx.Request) -> httpx.Response:
        await trio.sleep(3)
        return httpx.Response(200, json=DOCUMENT if request.url.host == "directory" else EMPTY)

    queue = Queue(respond, discovery_url=DISCOVERY)
    with pytest.raises(QueueUnavailableError, match=r"directory.*ReadTimeout"):
        await queue.client.lease(1, 60)
    assert trio.current_time() - queue.times[0] == pytest.approx(5)


async def test_a_busy_discovery_server_is_unavailable_with_its_pause() -> None:
    queue = Queue(httpx.Response(503, headers={"Retry-After": "9"}), discovery_url=DISCOVERY)
    with pytest.raises(QueueUnavailableError, match=r"directory.*503") as raised:
        await queue.client.lease(1, 60)
    assert raised.value.pause == 9


async def test_a_failed_discovery_is_not_an_answer(autojump_clock: MockClock) -> None:
    queue = Queue(httpx.Response(404, json=DOCUMENT), discovery_url=DISCOVERY)
    with pytest.raises(QueueRefusedError, match="is not a discovery document"):
        await queue.client.lease(1, 60)


@pytest.mark.parametrize("root", ["https:///x/", "http:", "file:///x/"])
async def test_a_discovered_address_needs_a_scheme_and_a_host(root: str) -> None:
    queue = Queue(httpx.Response(200, json=DOCUMENT | {"rootUrl": root}), discovery_url=DISCOVERY)
    with pytest.raises(QueueRefusedError, match="allowed: an http or https address"):
        await queue.client.lease(1, 60)


async def test_requests_have_our_headers_and_without_a_token_no_authorization() -> None:
    queue = Queue(httpx.Response(200, json=FOUND))
    await queue.client.insert("one", "eA==", "task")
    headers = queue.requests[0].headers
    assert headers["User-Agent"].startswith("render-trio/")
    assert headers["Content-Type"] == "application/json"
    assert "gzip" in headers["Accept-Encoding"]
    assert "Authorization" not in headers
    await Queue(httpx.Response(200, json=EMPTY)).client.lease(1, 60)


async def test_a_message_in_an_error_is_shortened() -> None:
    with pytest.raises(QueueRefusedError) as raised:
        await Queue(error(400, message="m" * 1000)).client.lease(1, 60)
    assert str(raised.value).count("m") == 300


async def test_a_reply_that_is_not_of_the_queue_is_not_quoted() -> None:
    """A proxy may repeat the request in it, with the token."""
    with pytest.raises(QueueRefusedError) as raised:
        await Queue(httpx.Response(400, html="<p>Bearer secret-token")).client.lease(1, 60)
    assert str(raised.value).endswith("400, not from the queue itself (text/html; charset=utf-8, 22 bytes)")
