"""The queue's client: against the real emulator, and against answers that no real one gives on demand."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trio
from trio.testing import MockClock

from emulator.server.serving import serve
from emulator.settings import EmulatorSettings
from render_trio.errors import LeaseLostError, QueueRefusedError, QueueUnavailableError
from render_trio.queue.task_queue import connection as queue_connection
from render_trio.queue.task_queue.client import TaskQueue
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


def queue_with(answer: Callable[[httpx.Request], httpx.Response]) -> TaskQueue:
    queue = TaskQueue("http://queue", "p", "q", timeout=5)
    queue._connection._client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return queue


@pytest.mark.parametrize("by_discovery", [False, True])
async def test_every_verb_works_on_the_real_queue(tmp_path: Path, by_discovery: bool) -> None:
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'q'}"))
        discovery = f"{address}/api/{{api}}/{{apiVersion}}" if by_discovery else ""
        queue = TaskQueue("http://nowhere" if by_discovery else address, "p", "q", timeout=5, discovery_url=discovery)
        await queue.insert("one", "eA==", "task")
        await queue.insert("one", "eA==", "task")
        lease = await queue.lease(5, 60, wait=1)
        assert [task.id for task in lease.tasks] == ["one"]
        assert lease.waited
        renewed = await queue.renew(lease.tasks[0], 120)
        assert renewed.lease_us > lease.tasks[0].lease_us
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


def test_every_fault_of_the_network_is_translated() -> None:
    """Whatever httpx raises while it asks is mapped, or is a bug of ours that must show as it is."""
    ours = (httpx.HTTPStatusError, httpx.CookieConflict)
    for _, error in inspect.getmembers(httpx, inspect.isclass):
        if issubclass(error, Exception) and error not in (httpx.HTTPError, httpx.RequestError, *ours):
            assert issubclass(error, queue_connection.NETWORK_FAULTS), error


@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x"), httpx.PoolTimeout("x")]
)
async def test_a_network_fault_is_tried_again_then_told(fault: Exception, autojump_clock: MockClock) -> None:
    asked = []

    def fail(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise fault

    queue = queue_with(fail)
    connection = queue._connection
    client = connection._client
    if isinstance(fault, httpx.PoolTimeout):
        connection._new_client = lambda: httpx.AsyncClient(transport=httpx.MockTransport(fail))  # type: ignore[method-assign]
    with pytest.raises(QueueUnavailableError, match=type(fault).__name__):
        await queue.insert("one", "eA==", "task")
    assert len(asked) == queue_connection.ATTEMPTS
    assert (connection._client is client) != isinstance(fault, httpx.PoolTimeout), "a poisoned pool is replaced"


async def test_a_lease_is_not_asked_for_twice(autojump_clock: MockClock) -> None:
    asked = []

    def fail(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ReadError("cut")

    with pytest.raises(QueueUnavailableError):
        await queue_with(fail).lease(1, 60)
    assert len(asked) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_queue_is_given_the_time_it_asks_for(status: int, autojump_clock: MockClock) -> None:
    times: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        times.append(trio.current_time())
        return httpx.Response(status if len(times) < 3 else 200, headers={"Retry-After": "7"}, json=FOUND)

    await queue_with(answer).insert("one", "eA==", "task")
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
async def test_rubbish_is_no_answer(body: bytes) -> None:
    queue = queue_with(lambda request: httpx.Response(200, content=body))
    with pytest.raises(QueueUnavailableError):
        await queue.lease(1, 60)


async def test_a_refusal_is_told_with_its_reason() -> None:
    answer = httpx.Response(403, json={"error": {"code": 403, "message": "not a writer"}})
    with pytest.raises(QueueRefusedError, match="403 not a writer"):
        await queue_with(lambda request: answer).insert("one", "eA==", "task")


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_connection, "ANSWER_BYTES", 1000)
    queue = queue_with(lambda request: httpx.Response(200, content=b"x" * 2000))
    with pytest.raises(QueueUnavailableError, match="over 1000 bytes"):
        await queue.lease(1, 60)


async def test_a_queue_that_is_not_there_is_unavailable() -> None:
    queue = TaskQueue(f"http://127.0.0.1:{free_port()}", "p", "q", timeout=1)
    with pytest.raises(QueueUnavailableError):
        await queue.lease(1, 60)
    await queue.aclose()


@pytest.mark.parametrize("status", [200, 409])
async def test_an_insertion_counts_only_when_the_queue_itself_says_so(status: int, autojump_clock: MockClock) -> None:
    """Rubbish with a good status must not let the task be deleted whose result was not inserted."""
    answer = httpx.Response(status, content=b"<html>Welcome to our network</html>")
    with pytest.raises(QueueUnavailableError if status == 200 else QueueRefusedError, match="Welcome"):
        await queue_with(lambda request: answer).insert("one", "eA==", "task")


async def test_a_deletion_counts_only_when_the_queue_itself_says_so(autojump_clock: MockClock) -> None:
    with pytest.raises(QueueUnavailableError, match="Welcome"):
        await queue_with(lambda request: httpx.Response(200, content=b"Welcome")).delete("one")


async def test_a_quota_is_waited_for_like_a_busy_queue(autojump_clock: MockClock) -> None:
    quota = {"error": {"code": 403, "message": "slower", "errors": [{"reason": "rateLimitExceeded"}]}}
    answers = [httpx.Response(200, json=FOUND), httpx.Response(403, json=quota)]
    await queue_with(lambda request: answers.pop()).insert("one", "eA==", "task")
    assert answers == []


async def test_a_busy_queue_is_not_waited_for_without_end(autojump_clock: MockClock) -> None:
    times: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        times.append(trio.current_time())
        return httpx.Response(503, headers={"Retry-After": "86400"})

    with pytest.raises(QueueUnavailableError) as error:
        await queue_with(answer).insert("one", "eA==", "task")
    assert error.value.pause == queue_connection.MAX_RETRY_AFTER
    assert trio.current_time() - times[0] <= queue_connection.VERB_SECONDS


async def test_a_renewal_whose_answer_was_lost_keeps_its_lease(tmp_path: Path) -> None:
    """Its repetition is refused, as the lease has moved; nobody else has the task, so it is still ours."""
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
                await queue.renew(second, 60)  # leased again since: not ours, whoever has it
            await queue.aclose()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(200, json=FOUND), "no discovery document"),
        (httpx.Response(404, content=b"<html>"), "no discovery document .* 404 <html>"),
        (httpx.Response(200, json={"rootUrl": "ftp://x/", "servicePath": "p/"}), "allowed: an http"),
        (
            httpx.Response(200, json={"rootUrl": "http://x:y/", "servicePath": "p/"}),
            "allowed: an http",
        ),
        (httpx.Response(200, json={"rootUrl": "", "servicePath": ""}), "allowed: an http"),
    ],
)
async def test_a_discovery_document_that_is_none_is_told(answer: httpx.Response, message: str) -> None:
    queue = TaskQueue("", "p", "q", timeout=5, discovery_url="http://queue/api/{api}/{apiVersion}")
    queue._connection._client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: answer))
    with pytest.raises(QueueRefusedError, match=message):
        await queue.lease(1, 60)


async def test_a_wrong_address_in_the_discovery_document_is_looked_up_again(autojump_clock: MockClock) -> None:
    """The queue has moved, or its document was wrong for a while: no restart of ours is needed."""
    roots = ["http://new/", "http://old/"]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api"):
            return httpx.Response(200, json={"rootUrl": roots.pop(), "servicePath": "p/"})
        if request.url.host == "old":
            raise httpx.ConnectError("nobody there")
        return httpx.Response(200, json=FOUND)

    queue = TaskQueue("", "p", "q", timeout=5, discovery_url="http://queue/api/{api}/{apiVersion}")
    queue._connection._client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    await queue.insert("one", "eA==", "task")
    assert roots == []
