"""A queue that is down, slow, silent, busy, resetting connections or sending invalid data is retried rarely."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from emulator.server.serving import serve
from emulator.settings import EmulatorSettings
from render_trio.errors import QueueUnavailableError
from render_trio.observation.metrics import Metrics
from render_trio.queue.messages import decode_result, encode_task
from render_trio.queue.task_queue import transport
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.worker.limits import Limits
from render_trio.worker.worker import Worker
from tests.proxy import RESET, STALL, SWALLOW, Behaviour, Proxy, http_answer, proxy
from tests.render_trio.fakes import TASK, FakeHeartbeat, FakeRenderer, storeless_worker

LIMITS = Limits(20, 50, 1.33, 3, 2)


def worker_of(queue: TaskQueue) -> Worker:
    return storeless_worker(queue, FakeRenderer(0).make, LIMITS, Metrics())


async def refused(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


async def silent(request: httpx.Request) -> httpx.Response:
    await trio.sleep_forever()
    raise AssertionError


async def resetting(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("reset")


def responding(status: int, content: bytes = b"<html>", **headers: str) -> Callable[[httpx.Request], Any]:
    async def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content, headers=headers)

    return respond


@pytest.mark.parametrize(
    "fault",
    [
        refused,
        silent,
        resetting,
        responding(200),
        responding(200, b"\xff\x00"),
        responding(200, b"{}"),
        responding(200, b"no gzip", **{"Content-Encoding": "gzip"}),
        responding(302, Location="/welcome"),
        responding(404),
        responding(500),
        responding(429, **{"Retry-After": "2"}),
        responding(503, **{"Retry-After": "soon"}),
    ],
    ids=lambda fault: getattr(fault, "__name__", ""),
)
async def test_a_failing_queue_is_polled_rarely_and_its_recovery_is_noticed_within_seconds(
    fault: Callable[[httpx.Request], Coroutine[Any, Any, httpx.Response]], autojump_clock: MockClock
) -> None:
    request_times: list[float] = []
    repaired = trio.Event()
    recovered_at = 0.0

    async def respond(request: httpx.Request) -> httpx.Response:
        nonlocal recovered_at
        request_times.append(trio.current_time())
        if not repaired.is_set():
            return await fault(request)
        recovered_at = recovered_at or trio.current_time()
        held = {"Preference-Applied": "wait=20"} if "Prefer" in request.headers else {}
        await trio.sleep(20 if held else 0)
        return httpx.Response(200, json={"kind": "taskqueue#tasks"}, headers=held)

    queue = TaskQueue("http://queue", "p", "q", timeout=5)
    queue._connection._transport._client = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    heartbeat = FakeHeartbeat()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker_of(queue).run, heartbeat)
        await trio.sleep(120)
        # The pause between two attempts grows up to 5 s; with jitter, it is at least half of that.
        assert 3 <= len(request_times) <= 120 / 2.5 + 8
        assert set(heartbeat.progressed) == {"unreachable"}
        repaired.set()
        repaired_at = trio.current_time()
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert 0 < recovered_at - repaired_at <= 5 + 25  # the longest pause, after an attempt in progress
    assert heartbeat.progressed[-1] == "polled"


async def test_workers_that_lose_the_queue_together_do_not_retry_in_step(autojump_clock: MockClock) -> None:
    request_times: list[float] = []

    async def respond(request: httpx.Request) -> httpx.Response:
        request_times.append(trio.current_time())
        raise httpx.ConnectError("refused")

    with trio.move_on_after(60):
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                queue = TaskQueue("http://queue", "p", "q", timeout=5)
                queue._connection._transport._client = httpx.AsyncClient(transport=httpx.MockTransport(respond))
                nursery.start_soon(worker_of(queue).run, FakeHeartbeat())
    late = sorted(request_times)[16:]
    assert max(len(list(group)) for _, group in itertools.groupby(late, lambda moment: round(moment, 3))) < 4


class Network:
    """A worker, a real queue, and a proxy between them."""

    def __init__(self, between: Proxy, http: httpx.AsyncClient, direct: TaskQueue, heartbeat: FakeHeartbeat) -> None:
        self.between = between
        self.direct = direct
        self._http = http
        self.heartbeat = heartbeat
        self._numbers = itertools.count()

    async def result(self) -> str:
        """Insert a task, and return the ID of the task that the next result answers, once that task is settled."""
        name = f"task-{next(self._numbers)}"
        await self.direct.insert(name, encode_task(TASK), "task")
        (result,) = (await self.direct.lease(1, 60, tag="result", wait=60)).tasks
        await self.direct.delete(result.id)
        while (await self._http.get(f"/{name}")).status_code != 404:  # noqa: ASYNC110 - real time
            await trio.sleep(0.01)
        return decode_result(result.payload).task_id

    async def unreachable(self, times: int) -> None:
        """Wait until the worker has found the queue unreachable `times` more times."""
        before = self.heartbeat.progressed.count("unreachable")
        while self.heartbeat.progressed.count("unreachable") < before + times:  # noqa: ASYNC110 - real time
            await trio.sleep(0.01)


@asynccontextmanager
async def network(folder: Path) -> AsyncIterator[Network]:
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, EmulatorSettings(port=0, store=f"sqlite:///{folder / 'q'}"))
        with proxy(address) as between:
            queue = TaskQueue(f"http://127.0.0.1:{between.port}", "p", "q", timeout=0.5)
            direct = TaskQueue(address, "p", "q", timeout=10)
            heartbeat = FakeHeartbeat()
            async with trio.open_nursery() as inner:
                limits = Limits(20, 1, 1.33, 3, 2)
                worker = storeless_worker(queue, FakeRenderer(0).make, limits, Metrics())
                inner.start_soon(worker.run, heartbeat)
                tasks = f"{address}/taskqueue/v1beta2/projects/p/taskqueues/q/tasks"
                async with httpx.AsyncClient(base_url=tasks, trust_env=False) as http:
                    with trio.fail_after(60):
                        yield Network(between, http, direct, heartbeat)
                inner.cancel_scope.cancel()
            await queue.aclose()
            await direct.aclose()
        nursery.cancel_scope.cancel()


async def test_the_worker_recovers_from_one_fault_of_real_connections_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("render_trio.worker.limits.POLL_WAIT", 0)  # a long poll would hide some faults
    faults = [
        RESET,
        STALL,
        SWALLOW,
        Behaviour("cut", size=40),
        Behaviour("answer", answer=b"\x16\x03\x01 no HTTP at all\r\n\r\n"),
        Behaviour("answer", answer=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        http_answer(200, b"<html>Sign in to our network</html>"),
        http_answer(429, b"{}", Retry_After="0"),
    ]
    async with network(tmp_path) as net:
        for number, fault in enumerate(faults):
            assert await net.result() == f"task-{number}"
            net.between.behave(fault)
            await net.unreachable(2)
            net.between.behave(Behaviour())
        assert await net.result() == f"task-{len(faults)}"
        net.between.behave(Behaviour("delay", seconds=0.1))
        assert await net.result() == f"task-{len(faults) + 1}"


async def test_a_poisoned_pool_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All connections of the pool hang in requests; the next request doesn't wait for them."""

    async def hang() -> None:
        with pytest.raises(QueueUnavailableError):
            await queue.lease(1, 60, wait=60)

    monkeypatch.setattr(transport, "CONNECTIONS", 2)
    async with trio.open_nursery() as nursery:
        address = await nursery.start(serve, EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'q'}"))
        queue = TaskQueue(address, "p", "q", timeout=1)
        poisoned = queue._connection._transport._client
        for _ in range(2):
            nursery.start_soon(hang)
        while len(poisoned._transport._pool.connections) < 2:  # noqa: ASYNC110 - real time
            await trio.sleep(0.01)
        await queue.insert("one", "eA==", "other")
        assert queue._connection._transport._client is not poisoned
        nursery.cancel_scope.cancel()
    await queue.aclose()
