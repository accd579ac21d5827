"""The queue client, against the real emulator and against simulated responses."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path

import httpx
import pytest
import trio
from trio.testing import MockClock

from emulator.server.serving import serve
from emulator.settings import EmulatorSettings
from render_trio.errors import LeaseLostError, QueueRefusedError, QueueUnavailableError
from render_trio.queue.interface import MAX_RETRY_AFTER, REQUEST_SECONDS
from render_trio.queue.task_queue import connection as queue_connection
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.queue.task_queue.transport import BlockingTransport, LoopTransport, Transport
from tests.processes import queue as running_queue
from tests.proxy import SWALLOW, proxy
from tests.redis_server import free_port

FOUND = {
    "kind": "taskqueues#task",
    "id": "one",
    "payloadBase64": "eA==",
    "leaseTimestamp": "5",
    "enqueueTimestamp": "3",
    "retry_count": 2,
}


def queue_with(respond: Callable[[httpx.Request], httpx.Response]) -> TaskQueue:
    queue = TaskQueue("http://queue", "p", "q", timeout=5)
    queue._connection._transport._client = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    return queue


@pytest.mark.parametrize("by_discovery", [False, True])
async def test_every_operation_works_on_the_real_queue(tmp_path: Path, by_discovery: bool) -> None:
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'q'}"))
        discovery = f"{address}/api/{{api}}/{{apiVersion}}" if by_discovery else ""
        queue = TaskQueue("http://nowhere" if by_discovery else address, "p", "q", timeout=5, discovery_url=discovery)
        await queue.insert("one", "eA==", "task")
        await queue.insert("one", "eA==", "task")
        batch = await queue.lease(5, 60, wait=1)
        assert [task.id for task in batch.tasks] == ["one"]
        assert batch.waited
        renewed = await queue.renew(batch.tasks[0], 120)
        assert renewed.lease_us > batch.tasks[0].lease_us
        await queue.release(renewed)
        assert [task.retry_count for task in (await queue.lease(5, 60)).tasks] == [1]
        with pytest.raises(LeaseLostError):
            await queue.renew(renewed, 120)
        await queue.delete("one")
        await queue.delete("one")
        with pytest.raises(LeaseLostError):
            await queue.renew(renewed, 60)
        with pytest.raises(QueueRefusedError, match="numTasks"):
            await queue.lease(0, 60)
        await queue.aclose()
        nursery.cancel_scope.cancel()


def test_every_network_fault_is_translated() -> None:
    """Every exception of a request is mapped, except those that only a bug of ours can cause."""
    ours = (httpx.HTTPStatusError, httpx.CookieConflict)
    for _, error in inspect.getmembers(httpx, inspect.isclass):
        if issubclass(error, Exception) and error not in (httpx.HTTPError, httpx.RequestError, *ours):
            assert issubclass(error, queue_connection.NETWORK_FAULTS), error


@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x"), httpx.PoolTimeout("x")]
)
async def test_a_network_fault_is_retried_and_then_raised(fault: Exception, autojump_clock: MockClock) -> None:
    requests = []

    def fail(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise fault

    queue = queue_with(fail)
    transport = queue._connection._transport
    client = transport._client
    if isinstance(fault, httpx.PoolTimeout):
        transport._new_client = lambda: httpx.AsyncClient(transport=httpx.MockTransport(fail))  # type: ignore[method-assign]
    with pytest.raises(QueueUnavailableError, match=type(fault).__name__):
        await queue.insert("one", "eA==", "task")
    assert len(requests) == queue_connection.ATTEMPTS
    assert (transport._client is client) != isinstance(fault, httpx.PoolTimeout), "a poisoned pool is replaced"


async def test_a_lease_request_is_not_repeated(autojump_clock: MockClock) -> None:
    requests = []

    def fail(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise httpx.ReadError("cut")

    with pytest.raises(QueueUnavailableError):
        await queue_with(fail).lease(1, 60)
    assert len(requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_retry_after_of_a_busy_queue_is_respected(status: int, autojump_clock: MockClock) -> None:
    times: list[float] = []

    def respond(request: httpx.Request) -> httpx.Response:
        times.append(trio.current_time())
        return httpx.Response(status if len(times) < 3 else 200, headers={"Retry-After": "7"}, json=FOUND)

    await queue_with(respond).insert("one", "eA==", "task")
    assert len(times) == 3
    assert times[1] - times[0] >= 7


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[]",
        b"{}",
        b'{"kind": "taskqueue#tasks", "items": [7]}',
        b'{"kind": "taskqueue#tasks", "items": [{"id": "x"}]}',
        b'{"kind": "taskqueue#tasks", "items": 5}',
    ],
)
async def test_an_invalid_response_makes_the_queue_unavailable(body: bytes) -> None:
    queue = queue_with(lambda request: httpx.Response(200, content=body))
    with pytest.raises(QueueUnavailableError):
        await queue.lease(1, 60)


async def test_a_refusal_is_raised_with_its_reason() -> None:
    response = httpx.Response(403, json={"error": {"code": 403, "message": "not a writer"}})
    with pytest.raises(QueueRefusedError, match="403 not a writer"):
        await queue_with(lambda request: response).insert("one", "eA==", "task")


async def test_an_endless_response_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_connection, "RESPONSE_BYTES", 1000)
    queue = queue_with(lambda request: httpx.Response(200, content=b"x" * 2000))
    with pytest.raises(QueueUnavailableError, match="more than 1000 bytes"):
        await queue.lease(1, 60)


async def test_a_queue_that_does_not_exist_is_unavailable() -> None:
    queue = TaskQueue(f"http://127.0.0.1:{free_port()}", "p", "q", timeout=1)
    with pytest.raises(QueueUnavailableError):
        await queue.lease(1, 60)
    await queue.aclose()


@pytest.mark.parametrize("status", [200, 409])
async def test_an_insertion_counts_only_if_the_queue_itself_confirms_it(status: int, autojump_clock: MockClock) -> None:
    """Otherwise a proxy's page with status 200 would cause a task to be deleted whose result was not inserted."""
    response = httpx.Response(status, content=b"<html>Welcome to our network</html>")
    with pytest.raises(
        QueueUnavailableError if status == 200 else QueueRefusedError, match="not from the queue itself"
    ):
        await queue_with(lambda request: response).insert("one", "eA==", "task")


async def test_a_deletion_counts_only_if_the_queue_itself_confirms_it(autojump_clock: MockClock) -> None:
    with pytest.raises(QueueUnavailableError, match="not from the queue itself"):
        await queue_with(lambda request: httpx.Response(200, content=b"Welcome")).delete("one")


async def test_an_exceeded_quota_is_retried_like_a_busy_queue(autojump_clock: MockClock) -> None:
    quota = {"error": {"code": 403, "message": "slower", "errors": [{"reason": "rateLimitExceeded"}]}}
    responses = [httpx.Response(200, json=FOUND), httpx.Response(403, json=quota)]
    await queue_with(lambda request: responses.pop()).insert("one", "eA==", "task")
    assert responses == []


async def test_retries_on_a_busy_queue_are_bounded(autojump_clock: MockClock) -> None:
    times: list[float] = []

    def respond(request: httpx.Request) -> httpx.Response:
        times.append(trio.current_time())
        return httpx.Response(503, headers={"Retry-After": "86400"})

    with pytest.raises(QueueUnavailableError) as error:
        await queue_with(respond).insert("one", "eA==", "task")
    assert error.value.pause == MAX_RETRY_AFTER
    assert trio.current_time() - times[0] <= REQUEST_SECONDS


async def test_a_renewal_whose_response_was_lost_keeps_the_lease(tmp_path: Path) -> None:
    """The repetition is refused because the end of the lease has moved, but the lease is still ours."""
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'q'}"))
        with proxy(address) as between:
            queue = TaskQueue(f"http://127.0.0.1:{between.port}", "p", "q", timeout=5)
            for task_id in ("renewed", "released"):
                await queue.insert(task_id, "eA==", "task")
            first, second = sorted((await queue.lease(2, 60)).tasks, key=lambda task: task.id, reverse=True)
            between.behave(SWALLOW, times=1)
            renewed = await queue.renew(first, 120)
            assert renewed.lease_us > first.lease_us + 50_000_000
            between.behave(SWALLOW, times=1)
            await queue.release(second)
            (again,) = (await queue.lease(2, 60)).tasks
            assert (again.id, again.retry_count) == ("released", 1)
            with pytest.raises(LeaseLostError):
                await queue.renew(second, 60)  # leased again since, so no longer ours
            await queue.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx.Response(200, json=FOUND), "is not a discovery document"),
        (httpx.Response(404, content=b"<html>"), "is not a discovery document .* 404, not from the queue itself"),
        (httpx.Response(200, json={"rootUrl": "ftp://x/", "servicePath": "p/"}), "allowed: an http"),
        (
            httpx.Response(200, json={"rootUrl": "http://x:y/", "servicePath": "p/"}),
            "allowed: an http",
        ),
        (httpx.Response(200, json={"rootUrl": "", "servicePath": ""}), "allowed: an http"),
    ],
)
async def test_an_invalid_discovery_document_is_refused(response: httpx.Response, message: str) -> None:
    queue = TaskQueue("", "p", "q", timeout=5, discovery_url="http://queue/api/{api}/{apiVersion}")
    queue._connection._transport._client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: response))
    with pytest.raises(QueueRefusedError, match=message):
        await queue.lease(1, 60)


async def test_the_discovery_document_is_read_again_if_its_address_fails(autojump_clock: MockClock) -> None:
    """The queue has moved, or its document was temporarily wrong: the service needs no restart."""
    roots = ["http://new/", "http://old/"]

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api"):
            return httpx.Response(200, json={"rootUrl": roots.pop(), "servicePath": "p/"})
        if request.url.host == "old":
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json=FOUND)

    queue = TaskQueue("", "p", "q", timeout=5, discovery_url="http://queue/api/{api}/{apiVersion}")
    queue._connection._transport._client = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    await queue.insert("one", "eA==", "task")
    assert roots == []


class _Losing:
    """A transport that loses the first response to a deletion."""

    lost = False

    async def send(self, request: httpx.Request, *, seconds: float, limit: int) -> httpx.Response:
        response = await super().send(request, seconds=seconds, limit=limit)  # type: ignore[misc]
        if request.method == "DELETE" and not self.lost:
            self.lost = True
            raise httpx.ReadError("the response was lost")
        return response  # type: ignore[no-any-return]


class LosingLoop(_Losing, LoopTransport):
    """On an event loop."""


class LosingThread(_Losing, BlockingTransport):
    """In a thread."""


def run_blocking(work: Callable[[], Coroutine[None, None, None]]) -> None:
    with pytest.raises(StopIteration):
        work().send(None)


@pytest.mark.parametrize(
    ("run", "transport"),
    [(trio.run, LosingLoop), (lambda work: asyncio.run(work()), LosingLoop), (run_blocking, LosingThread)],
    ids=["trio", "asyncio", "blocking"],
)
def test_a_task_is_settled_on_any_event_loop_although_a_response_is_lost(
    run: Callable[[Callable[[], Coroutine[None, None, None]]], None], transport: type[Transport], tmp_path: Path
) -> None:
    with running_queue(f"sqlite:///{tmp_path / 'q'}") as running:

        async def settle() -> None:
            losing = transport()
            queue = TaskQueue(running.address, "p", "q", timeout=5, transport=losing)
            await queue.insert("one", "eA==", "task")
            (task,) = (await queue.lease(1, 60)).tasks
            await queue.settle(task, "e30=", "result")
            assert losing.lost  # type: ignore[attr-defined]
            assert list((await queue.tags()).values()) == ["result"]
            await queue.aclose()

        run(settle)
