"""The clients for producers, against a real queue: what they submit and fetch, and what a fault must not cost them."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

import render_trio
from render_trio import AsyncClient, Client, QueueError, RequestError, TaskExistsError
from render_trio.errors import QueueUnavailableError
from render_trio.queue import results as queue_results
from render_trio.queue.results import Unavailable
from render_trio.queue.task_queue.transport import CONNECTIONS
from tests.proxy import SWALLOW, Behaviour, http_answer, proxy
from tests.render_trio.queue.producing import PDF, Inbox, Web, document_result, link_result, pdf

FAILURE = {
    "kind": "result#document",
    "success": False,
    "task_id": "bad",
    "filename": None,
    "document": None,
    "error": {"code": "invalid_option", "message": "copies is 0"},
}


def client_of(inbox: Inbox, **options: Any) -> Client:
    return Client(inbox.address, queue=inbox.name, **options)


def free(inbox: Inbox) -> list[str]:
    """Return the IDs of the results that can be leased now."""
    response = httpx.post(f"{inbox.tasks}/lease", params={"numTasks": 100, "leaseSecs": 0}, trust_env=False)
    return sorted(item["id"] for item in response.json().get("items", []))


# -- submitting


def test_a_task_is_submitted_with_its_defaults(inbox: Inbox) -> None:
    with client_of(inbox) as client:
        task_id = client.submit("binary-cards", header_text="Room Four", reply_tag="mine")
    (item,) = inbox.items()
    assert (item["id"], item["tag"]) == (task_id, "task")
    values = inbox.task(task_id)
    assert values["kind"] == "task#render"
    assert (values["resource_view"], values["header_text"], values["paper_size"]) == ("binary_cards", "Room Four", "a4")
    assert values["reply_tag"] == "mine"


@pytest.mark.parametrize(
    ("view", "options", "field"),
    [
        ("laundry", {}, "resource_view"),
        ("grid", {"paper_size": "a0"}, "paper_size"),
        ("grid", {"colour": "red"}, "colour"),
        ("grid", {"reply_tag": "task"}, "reply_tag"),
        ("grid", {"reply_tag": "\x00"}, "reply_tag"),
    ],
)
def test_a_mistake_raises_before_anything_is_sent(inbox: Inbox, view: str, options: dict[str, Any], field: str) -> None:
    with client_of(inbox) as client, pytest.raises(RequestError) as raised:
        client.submit(view, **options)
    assert raised.value.field == field
    assert inbox.ids() == []


def test_ready_made_values_are_sent_as_they_are(inbox: Inbox) -> None:
    values = {"kind": "task#later", "resource_view": "unknown", "colour": None}
    with client_of(inbox) as client:
        task_id = client.submit_values(values)
    assert inbox.task(task_id) == values


@pytest.mark.parametrize("generated", [True, False])
def test_a_lost_reply_submits_one_task(inbox: Inbox, generated: bool) -> None:
    with proxy(inbox.address) as between:
        between.behave(SWALLOW, times=1)
        with Client(f"http://127.0.0.1:{between.port}", queue=inbox.name) as client:
            task_id = client.submit("grid", task_id=None if generated else "chosen")
    assert inbox.ids() == [task_id]


def complete(inbox: Inbox, between: Any) -> Callable[[], None]:
    """Return a function that waits for a task and deletes it, as a worker does, and lets the reply be lost."""

    def work() -> None:
        while not (found := inbox.ids()):
            pass
        httpx.delete(f"{inbox.tasks}/{found[0]}", trust_env=False).raise_for_status()
        between.behave(Behaviour())

    return work


@pytest.mark.parametrize("generated", [True, False])
def test_a_task_that_was_done_before_its_lost_reply_is_repeated(inbox: Inbox, generated: bool) -> None:
    """Its ID is then reserved. Only an ID that no other task can have had proves that the task was accepted."""
    with proxy(inbox.address) as between:
        between.behave(SWALLOW)
        worker = threading.Thread(target=complete(inbox, between))
        worker.start()
        with Client(f"http://127.0.0.1:{between.port}", queue=inbox.name) as client:
            if generated:
                assert client.submit("grid")
            else:
                with pytest.raises(TaskExistsError, match="the ID 'chosen' is reserved"):
                    client.submit("grid", task_id="chosen")
        worker.join()
    assert inbox.ids() == []


def test_a_chosen_id_may_be_repeated_for_the_same_task_only(inbox: Inbox) -> None:
    with client_of(inbox) as client:
        assert client.submit("grid", task_id="nightly") == "nightly"
        assert client.submit("grid", task_id="nightly") == "nightly"
        with pytest.raises(TaskExistsError, match="'nightly' is taken by a task with other content"):
            client.submit("grid", copies=2, task_id="nightly")
        inbox.put(document_result(), task_id="result-of-another")
        with pytest.raises(TaskExistsError):
            client.submit("grid", task_id="result-of-another")
        with pytest.raises(QueueError, match="id"):
            client.submit("grid", task_id="../x")
    assert inbox.ids() == ["nightly", "result-of-another"]


def test_a_queue_that_is_down_raises_after_some_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("render_trio.queue.task_queue.connection.ATTEMPTS", 2)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with Client(f"http://127.0.0.1:{unused.getsockname()[1]}") as client:
            with pytest.raises(QueueUnavailableError, match="ConnectError"):
                client.submit("grid")
            with pytest.raises(QueueUnavailableError, match="ConnectError"):
                next(client.results())


def test_a_token_is_sent_to_the_queue_but_not_to_other_servers(inbox: Inbox, web: Web) -> None:
    web.pages["/x.pdf"] = (200, {}, PDF)
    with Client(web.address, token="secret") as client, pytest.raises(QueueError):
        client.submit("grid")
    assert web.requests == []  # the server has no POST
    inbox.put(link_result(f"{web.address}/x.pdf"))
    with client_of(inbox, token="secret") as client:
        assert next(client.results()).document == PDF
    assert all("authorization" not in headers for _, headers in web.requests)


def test_threads_share_a_client(inbox: Inbox) -> None:
    """More of them than the client has connections."""
    with client_of(inbox) as client, ThreadPoolExecutor(CONNECTIONS * 2) as pool:
        ids = list(pool.map(lambda _: client.submit("grid"), range(CONNECTIONS * 4)))
        assert sorted(ids) == inbox.ids()


# -- fetching


def test_a_result_has_everything_that_its_service_reported(inbox: Inbox, tmp_path: Path) -> None:
    warning = {"code": "truncated", "field": "header_text", "message": "cut off"}
    request = {"resource_view": "grid", "seed": "7"}
    known = {"fingerprint": "abc", "warnings": [warning], "request": request, "enqueue_timestamp": "1700000000000000"}
    inbox.put(document_result(filename="../Grid.pdf", **known))
    with client_of(inbox) as client:
        (result,) = client.results()
        assert result.enqueue_timestamp == 1_700_000_000_000_000
        assert (result.task_id, result.success, result.filename, result.document) == ("one", True, "Grid.pdf", PDF)
        assert (result.pages, result.fingerprint, result.request, result.error) == (1, "abc", request, None)
        assert [(one.code, one.field, one.message) for one in result.warnings] == [tuple(warning.values())]
        assert result.save(tmp_path / "new") == tmp_path / "new" / "Grid.pdf"
        assert inbox.ids() != []
        result.acknowledge()
        result.acknowledge()
    assert inbox.ids() == []


def test_a_failure_has_no_document(inbox: Inbox, tmp_path: Path) -> None:
    inbox.put(FAILURE)
    with client_of(inbox) as client:
        (result,) = client.results()
    assert result.error is not None
    assert (result.success, result.error.code, result.filename, result.broken) == (False, "invalid_option", None, False)
    with pytest.raises(ValueError, match="no document"):
        result.save(tmp_path)


def test_only_results_with_the_tag_are_fetched(inbox: Inbox) -> None:
    inbox.put(document_result(task_id="mine"), tag="mine")
    inbox.put(document_result(task_id="other"))
    with client_of(inbox) as client:
        assert [result.task_id for result in client.results(tag="mine")] == ["mine"]


def test_a_result_that_is_not_acknowledged_comes_again(inbox: Inbox) -> None:
    """The loop raises: the current result comes again when its lease ends, those behind it at once."""
    for number in range(3):
        inbox.put(document_result(task_id=f"{number}"))

    def process() -> None:
        with client_of(inbox) as client:
            for _ in client.results(lease_seconds=2):
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        process()
    assert len(free(inbox)) == 2
    with client_of(inbox) as client:
        seen = set()
        for result in client.results(wait=10):
            seen.add(result.task_id)
            result.acknowledge()
            if len(seen) == 3:
                break
    assert inbox.ids() == []


def test_a_released_result_comes_again_at_once(inbox: Inbox) -> None:
    inbox.put(document_result())
    with client_of(inbox) as client:
        next(client.results()).release()
        assert next(client.results()).task_id == "one"


def test_a_lost_reply_to_an_acknowledgement_is_repeated(inbox: Inbox) -> None:
    inbox.put(document_result())
    with proxy(inbox.address) as between, Client(f"http://127.0.0.1:{between.port}", queue=inbox.name) as client:
        result = next(client.results())
        between.behave(SWALLOW, times=1)
        result.acknowledge()
    assert inbox.ids() == []


def test_a_broken_result_does_not_stop_the_others(inbox: Inbox, tmp_path: Path) -> None:
    first = inbox.put("bm90IEpTT04=")
    inbox.put(document_result(pdf("good"), task_id="good"))
    inbox.put(document_result(task_id="damaged", sha256="0" * 64))
    with client_of(inbox) as client:
        found = {result.leased.id: result for result in client.results()}
        assert sorted(result.task_id for result in found.values()) == ["", "damaged", "good"]
        broken = found[first]
        assert (broken.broken, broken.success, broken.document) == (True, False, None)
        path = broken.set_aside(tmp_path)
        assert path == tmp_path / "rejected" / f"{first}.json"
        kept = json.loads(path.read_text())
        assert (kept["id"], base64.b64decode(kept["payload"])) == (first, b"not JSON")
        assert "not JSON" in kept["reason"]


def test_a_result_that_is_processed_slowly_keeps_the_leases_of_the_others(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the first is simulated: the second one's lease is renewed before it is handed over."""
    for number in range(2):
        inbox.put(document_result(task_id=f"{number}"))
    with client_of(inbox) as client:
        results = client.results(lease_seconds=60)
        next(results)
        before = {item["id"]: int(item["leaseTimestamp"]) for item in inbox.items()}
        now = client._clock.now
        monkeypatch.setattr(client._clock, "now", lambda: now() + 45)
        second = next(results)
        after = {item["id"]: int(item["leaseTimestamp"]) for item in inbox.items()}
        moved = [task_id for task_id in before if after[task_id] > before[task_id]]
        assert moved == [second.leased.id]


def test_a_result_whose_lease_was_lost_is_left_to_its_new_holder(inbox: Inbox) -> None:
    for number in range(2):
        inbox.put(document_result(task_id=f"{number}"))
    with client_of(inbox) as client:
        results = client.results(lease_seconds=60)
        first = next(results)
        (other,) = [item for item in inbox.items() if item["id"] != first.leased.id]
        httpx.delete(f"{inbox.tasks}/{other['id']}", trust_env=False)
        now = client._clock.now
        client._clock.now = lambda: now() + 45  # type: ignore[method-assign]
        assert list(results) == []


def test_results_that_arrive_later_are_waited_for(inbox: Inbox) -> None:
    with client_of(inbox) as client:
        results = client.results(wait=30)
        inserting = threading.Timer(0.2, lambda: inbox.put(document_result()))
        inserting.start()
        assert next(results).task_id == "one"
        inserting.join()


def test_a_queue_that_holds_no_requests_is_polled(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_results, "HOLD_SECONDS", 0)
    pauses: list[float] = []
    with client_of(inbox) as client:

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            inbox.put(document_result())

        monkeypatch.setattr(client._clock, "sleep", sleep)
        assert next(client.results(wait=None)).task_id == "one"
    assert pauses == [queue_results.POLL_INTERVAL]


def test_results_continue_after_a_request_for_them_has_failed(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop over results may run for days: one lost connection must not end it."""
    inbox.put(document_result())
    with proxy(inbox.address) as between, Client(f"http://127.0.0.1:{between.port}", queue=inbox.name) as client:
        between.behave(http_answer(503), times=1)
        assert [result.task_id for result in client.results()] == ["one"]


def test_a_client_without_an_event_loop_refuses_what_would_need_one(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_results, "HOLD_SECONDS", 0)
    with client_of(inbox) as client:
        monkeypatch.setattr(client._clock, "sleep", lambda seconds: asyncio.sleep(0))
        with pytest.raises(RuntimeError, match="a blocking client was suspended"):
            next(client.results(wait=None))


# -- on an event loop


def run_on_trio(use: Callable[[], Awaitable[None]]) -> None:
    trio.run(use)


def run_on_asyncio(use: Callable[[], Any]) -> None:
    asyncio.run(use())


@pytest.mark.parametrize("run", [run_on_trio, run_on_asyncio])
def test_the_asynchronous_client_does_the_same_on_every_event_loop(
    inbox: Inbox, web: Web, run: Callable[[Callable[[], Any]], None]
) -> None:
    web.pages["/x.pdf"] = (200, {}, pdf("linked"))

    async def use() -> None:
        async with AsyncClient(inbox.address, queue=inbox.name) as client:
            assert await client.submit("grid", task_id="chosen") == "chosen"
            with pytest.raises(TaskExistsError):
                await client.submit_values({"resource_view": "grid"}, task_id="chosen")
            with pytest.raises(RequestError):
                await client.submit("grid", copies=0)
            inbox.put(link_result(f"{web.address}/x.pdf", pdf("linked")))
            inbox.put(b"{")
            inbox.put(FAILURE)
            seen = []
            async for result in client.results(wait=1):
                seen.append(result.error.code if result.error else result.document)
                await result.acknowledge()
            assert sorted(map(str, seen)) == sorted(map(str, [pdf("linked"), "broken_result", "invalid_option"]))
            inbox.put(document_result(task_id="released"))
            await (await anext(client.results())).release()
            assert (await anext(client.results())).task_id == "released"

    run(use)
    assert len(inbox.ids()) == 2


@pytest.mark.parametrize("run", [run_on_trio, run_on_asyncio])
def test_what_was_not_handed_over_is_released_when_the_client_is_closed(
    inbox: Inbox, run: Callable[[Callable[[], Any]], None]
) -> None:
    for number in range(3):
        inbox.put(document_result(task_id=f"{number}"))

    async def use() -> None:
        async with AsyncClient(inbox.address, queue=inbox.name) as client:
            await anext(client.results())

    run(use)
    assert len(free(inbox)) == 2


async def test_a_cancelled_client_releases_its_results(inbox: Inbox) -> None:
    for number in range(3):
        inbox.put(document_result(task_id=f"{number}"))
    with trio.CancelScope() as scope:
        async with AsyncClient(inbox.address, queue=inbox.name) as client:
            await anext(client.results())
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert len(free(inbox)) == 2


def test_clients_without_an_event_loop_start_none() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    with Client("http://127.0.0.1:9") as client:
        assert isinstance(client, render_trio.Client)


# -- links


def test_a_received_result_has_the_address_of_a_document_that_was_behind_a_link(inbox: Inbox, web: Web) -> None:
    web.pages["/grid.pdf"] = (200, {}, PDF)
    inbox.put(link_result(f"{web.address}/grid.pdf", task_id="linked"))
    inbox.put(document_result(task_id="inline"))
    with client_of(inbox) as client:
        found = {result.task_id: (result.url, result.document) for result in client.results()}
    assert found == {"linked": (f"{web.address}/grid.pdf", PDF), "inline": (None, PDF)}


def test_a_link_that_can_not_be_fetched_is_left_for_later_and_reported(
    inbox: Inbox, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.put(link_result(f"{web.address}/missing.pdf", task_id="linked"))
    inbox.put(document_result(task_id="good"))
    reported: list[Unavailable] = []
    with client_of(inbox) as client:
        assert [result.task_id for result in client.results(on_unavailable=reported.append)] == ["good"]
    assert [(one.task_id, one.url) for one in reported] == [("linked", f"{web.address}/missing.pdf")]
    assert "404" in reported[0].reason
    assert len(inbox.ids()) == 2
    assert free(inbox) == []  # neither the unacknowledged one nor the one left for a minute
    inbox.put(link_result(f"{web.address}/missing.pdf", task_id="logged"), tag="other")
    with client_of(inbox) as client, caplog.at_level(logging.WARNING, "render_trio"):
        assert list(client.results(tag="other")) == []
    assert "task logged" in caplog.text
