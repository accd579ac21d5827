"""What each response of the queue means for an operation, by a scripted queue that records the requests."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
import pytest
from trio.testing import MockClock

from render_trio.errors import LeaseLostError, QueueRefusedError, QueueUnavailableError, TaskExistsError
from render_trio.queue.identity import former_result_id, is_result_of, result_ids
from render_trio.queue.interface import FoundTask, QueueStats
from render_trio.queue.messages import LeasedTask, encode_result, failure
from render_trio.queue.task_queue.client import TaskQueue

TASK = LeasedTask("one", "eA==", 5_000, 3_000, 0)
RETRIED = msgspec.structs.replace(TASK, retry_count=1)
RESULT = encode_result(failure("one", "code", "why", 3_000))
RESULT_ID, *OTHER_IDS = result_ids(TASK)
GONE = httpx.Response(204)
LOST = httpx.ReadError("the response was lost")


def error(code: int) -> httpx.Response:
    return httpx.Response(code, json={"error": {"code": code, "message": "why"}})


def found(task_id: str = "one", payload: str = "eA==", tag: str | None = "task", **changed: Any) -> httpx.Response:
    values = {"id": task_id, "payloadBase64": payload, "tag": tag, "leaseTimestamp": "5000", "enqueueTimestamp": "3000"}
    return httpx.Response(200, json={key: value for key, value in (values | changed).items() if value is not None})


class Script:
    """A queue that gives these replies in this order."""

    def __init__(self, *replies: httpx.Response | Exception) -> None:
        self.replies = list(replies)
        self.requests: list[httpx.Request] = []
        self.queue = TaskQueue("http://queue", "p", "q", timeout=5)
        transport: Any = self.queue._connection._transport
        transport._client = httpx.AsyncClient(transport=httpx.MockTransport(self._respond))

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    @property
    def calls(self) -> list[str]:
        """The methods and last parts of the paths."""
        return [f"{request.method} {request.url.path.rpartition('/')[2]}" for request in self.requests]

    def body(self, index: int = 0) -> Any:
        return msgspec.json.decode(self.requests[index].content)


async def test_a_lease_request_has_its_parameters_and_its_task_all_values() -> None:
    script = Script(
        httpx.Response(
            200,
            headers={"Preference-Applied": "wait=20"},
            json={"kind": "taskqueues#tasks", "items": [msgspec.json.decode(found(retry_count=2).content)]},
        ),
        httpx.Response(200, json={"kind": "taskqueues#tasks"}),
    )
    batch = await script.queue.lease(7, 60, tag="result", wait=20)
    assert batch.tasks == (LeasedTask("one", "eA==", 5_000, 3_000, 2, "result"),)
    assert batch.waited
    assert script.calls == ["POST lease"]
    assert dict(script.requests[0].url.params) == {
        "numTasks": "7",
        "leaseSecs": "60",
        "groupByTag": "true",
        "tag": "result",
    }
    assert script.requests[0].headers["Prefer"] == "wait=20"
    batch = await script.queue.lease(7, 60)
    assert (batch.tasks, batch.waited) == ((), False)
    assert "Prefer" not in script.requests[1].headers
    assert script.requests[1].url.params["tag"] == "task"


async def test_a_lease_request_is_repeated_only_on_demand(autojump_clock: MockClock) -> None:
    script = Script(LOST, httpx.Response(200, json={"kind": "taskqueues#tasks"}))
    assert (await script.queue.lease(1, 60, repeat=True)).tasks == ()
    script = Script(LOST)
    with pytest.raises(QueueUnavailableError):
        await script.queue.lease(1, 60)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task_id", None),
        ("leaseTimestamp", None),
        ("leaseTimestamp", "x"),
        ("enqueueTimestamp", None),
        ("enqueueTimestamp", []),
        ("retry_count", "x"),
    ],
)
async def test_a_task_without_its_required_values_is_an_invalid_response(field: str, value: Any) -> None:
    item = msgspec.json.decode(found(**{field: value}).content)
    script = Script(httpx.Response(200, json={"kind": "taskqueues#tasks", "items": [item]}))
    with pytest.raises(QueueUnavailableError, match="contains an invalid task"):
        await script.queue.lease(1, 60)


@pytest.mark.parametrize(
    ("replies", "accepted"),
    [
        ([found()], True),
        ([error(409), found()], True),
        ([error(409), found(payload="eQ==")], False),
        ([error(409), found(tag="other")], False),
        ([error(409), found(tag=None)], False),
        ([error(409), error(404)], False),
        ([LOST, error(409), error(404)], True),  # it was inserted by the first attempt, and is done
        ([LOST, error(409), found()], True),
        ([LOST, error(409), found(payload="eQ==")], False),
    ],
)
async def test_an_insertion_with_a_taken_id_counts_if_the_entry_is_the_same(
    replies: Sequence[httpx.Response | Exception], accepted: bool, autojump_clock: MockClock
) -> None:
    script = Script(*replies)
    if accepted:
        await script.queue.insert("one", "eA==", "task")
    else:
        with pytest.raises(QueueRefusedError, match="belongs to another task"):
            await script.queue.insert("one", "eA==", "task")
    assert script.body() == {"id": "one", "queueName": "q", "payloadBase64": "eA==", "tag": "task"}
    assert script.replies == []


@pytest.mark.parametrize(
    ("replies", "generated", "message"),
    [
        ([found()], False, None),
        ([error(409), found()], False, None),
        ([error(409), found(payload="eQ==")], False, "is taken"),
        ([error(409), found(payload="eQ==")], True, "is taken"),
        ([error(409), error(404)], False, "is reserved"),
        ([error(409), error(404)], True, None),
        ([LOST, error(409), error(404)], False, "is reserved"),
        ([LOST, error(409), error(404)], True, None),
    ],
)
async def test_a_submission_with_a_taken_id_is_refused_unless_it_is_the_same(
    replies: Sequence[httpx.Response | Exception], generated: bool, message: str | None, autojump_clock: MockClock
) -> None:
    script = Script(*replies)
    if message is None:
        await script.queue.submit("one", "eA==", "task", generated=generated)
    else:
        with pytest.raises(TaskExistsError, match=message):
            await script.queue.submit("one", "eA==", "task", generated=generated)


def result(task_id: str = RESULT_ID, payload: str = RESULT) -> httpx.Response:
    return found(task_id, payload, "result")


FOREIGN = encode_result(failure("another", "code", "why", 3_000))


@pytest.mark.parametrize(
    ("task", "replies", "calls"),
    [
        (TASK, [result(), GONE], ["POST tasks", "DELETE one"]),
        (TASK, [error(409), result(), GONE], ["POST tasks", f"GET {RESULT_ID}", "DELETE one"]),
        # Someone else's entry has the ID: the next ID is used.
        (
            TASK,
            [error(409), result(payload=FOREIGN), result(OTHER_IDS[0]), GONE],
            ["POST tasks", f"GET {RESULT_ID}", "POST tasks", "DELETE one"],
        ),
        # The ID is reserved. Only a task that was leased before, or a lost response, explains that.
        (
            TASK,
            [error(409), error(404), result(OTHER_IDS[0]), GONE],
            ["POST tasks", f"GET {RESULT_ID}", "POST tasks", "DELETE one"],
        ),
        (TASK, [LOST, error(409), error(404), GONE], ["POST tasks", "POST tasks", f"GET {RESULT_ID}", "DELETE one"]),
        (
            RETRIED,
            [error(404), error(409), error(404), GONE],
            ["GET one-result", "POST tasks", f"GET {RESULT_ID}", "DELETE one"],
        ),
        # Version 0.1.0 inserted the result.
        (RETRIED, [result(former_result_id("one")), GONE], ["GET one-result", "DELETE one"]),
        (
            RETRIED,
            [result(former_result_id("one"), FOREIGN), result(), GONE],
            ["GET one-result", "POST tasks", "DELETE one"],
        ),
    ],
)
async def test_a_result_is_inserted_once_and_before_the_task_is_deleted(
    task: LeasedTask, replies: Sequence[httpx.Response | Exception], calls: list[str], autojump_clock: MockClock
) -> None:
    script = Script(*replies)
    await script.queue.settle(task, RESULT, "result")
    assert script.calls == calls
    assert script.replies == []
    posted = [script.body(index) for index, call in enumerate(script.calls) if call == "POST tasks"]
    assert all((one["payloadBase64"], one["tag"], one["queueName"]) == (RESULT, "result", "q") for one in posted)


async def test_a_task_is_kept_if_no_id_is_left_for_its_result() -> None:
    ids = [RESULT_ID, *OTHER_IDS]
    script = Script(*[reply for task_id in ids for reply in (error(409), result(task_id, FOREIGN))])
    with pytest.raises(QueueRefusedError, match="every ID for the result of task one"):
        await script.queue.settle(TASK, RESULT, "result")
    assert [script.body(2 * number)["id"] for number in range(4)] == ids
    assert not any(call.startswith("DELETE") for call in script.calls)


@pytest.mark.parametrize(
    ("replies", "conditions"),
    [
        ([GONE], ['"5000"']),
        ([error(404)], ['"5000"']),
        # Another submission has the ID now: it stays.
        ([error(412), found(enqueueTimestamp="3001")], ['"5000"', None]),
        ([error(412), error(404)], ['"5000"', None]),
        # The same task, whose lease was renewed or lost.
        ([error(412), found(), GONE], ['"5000"', None, None]),
        ([LOST, error(404)], ['"5000"', None]),
        ([LOST, found(enqueueTimestamp="3001")], ['"5000"', None]),
        ([LOST, found(), GONE], ['"5000"', None, None]),
        ([LOST, found(), LOST, found(), LOST, found(), GONE], ['"5000"', *[None] * 6]),
    ],
)
async def test_a_settled_task_is_deleted_but_not_a_later_one_with_its_id(
    replies: Sequence[httpx.Response | Exception], conditions: list[str | None], autojump_clock: MockClock
) -> None:
    script = Script(result(), *replies)
    await script.queue.settle(TASK, RESULT, "result")
    assert [request.headers.get("If-Match") for request in script.requests[1:]] == conditions
    assert script.replies == []


async def test_a_deletion_is_given_up_after_four_attempts(autojump_clock: MockClock) -> None:
    script = Script(result(), *[LOST, found()] * 3, LOST, found())
    with pytest.raises(QueueUnavailableError):
        await script.queue.settle(TASK, RESULT, "result")
    assert script.calls.count("DELETE one") == 4


@pytest.mark.parametrize(
    ("replies", "lease_us"),
    [
        ([found(leaseTimestamp="9000")], 9_000),
        # Our own renewal, whose response was lost, has moved the end of the lease.
        ([error(400), found(leaseTimestamp="7000", retry_count=1), found(leaseTimestamp="9000")], 9_000),
        ([error(400), found(leaseTimestamp="7000", retry_count=2)], None),  # leased by another worker
        ([error(400), found(leaseTimestamp="7000", retry_count=0)], None),
        ([error(400), found(leaseTimestamp="5000", retry_count=1)], None),  # it has not moved: the lease has expired
        ([error(400), error(404)], None),
        ([error(404)], None),
        ([error(400), found(leaseTimestamp="7000", retry_count=1), error(400)], None),
    ],
)
async def test_a_lease_is_renewed_or_lost(
    replies: Sequence[httpx.Response], lease_us: int | None, autojump_clock: MockClock
) -> None:
    script = Script(*replies)
    if lease_us is None:
        with pytest.raises(LeaseLostError, match=r"the lease of task one can't be renewed: 40[04] why"):
            await script.queue.renew(TASK, 60)
    else:
        assert await script.queue.renew(TASK, 60) == msgspec.structs.replace(TASK, lease_us=lease_us)
    assert script.replies == []
    assert script.requests[0].method == "PATCH"
    assert dict(script.requests[0].url.params) == {"newLeaseSeconds": "60"}
    assert script.body() == {"queueName": "q", "leaseTimestamp": "5000"}
    if len(script.requests) == 3:
        assert script.body(2)["leaseTimestamp"] == "7000"


async def test_releasing_makes_a_task_available_and_a_lost_lease_is_no_error() -> None:
    script = Script(found(), found(), error(404))
    await script.queue.release(TASK)
    await script.queue.release(TASK, 9)
    await script.queue.release(TASK)
    assert [request.url.params["newLeaseSeconds"] for request in script.requests] == ["0", "9", "0"]


async def test_deleting_is_idempotent_and_is_repeated(autojump_clock: MockClock) -> None:
    script = Script(GONE, error(404), LOST, httpx.Response(200), error(403))
    for _ in range(3):
        await script.queue.delete("one")
    with pytest.raises(QueueRefusedError):
        await script.queue.delete("one")


async def test_a_task_is_found_with_its_tag() -> None:
    script = Script(found(), found(tag=None, payloadBase64=None), error(404), found("another"))
    assert await script.queue.get("one") == FoundTask(TASK, "task")
    assert await script.queue.get("one") == FoundTask(msgspec.structs.replace(TASK, payload="", tag=""), "")
    assert await script.queue.get("one") is None
    with pytest.raises(QueueUnavailableError):
        await script.queue.get("one")


async def test_tags_are_listed_by_id() -> None:
    items = [{"id": "one", "tag": "task"}, {"id": "two"}, {"tag": "x"}, 7]
    script = Script(
        httpx.Response(200, json={"kind": "taskqueues#tasks", "items": items}),
        httpx.Response(200, json={"kind": "taskqueues#tasks"}),
        httpx.Response(200, json={"kind": "other", "items": items}),
    )
    assert await script.queue.tags() == {"one": "task", "two": "", "": "x"}
    assert script.requests[0].url.params["fields"] == "kind,items(id,tag)"
    assert await script.queue.tags() == {}
    with pytest.raises(QueueUnavailableError):
        await script.queue.tags()
    assert script.calls == ["GET tasks"] * 3, "none is repeated"


STATS = {"totalTasks": 3, "oldestTask": "1700000000", "leasedLastMinute": "5", "leasedLastHour": 6}


async def test_statistics_are_read() -> None:
    script = Script(httpx.Response(200, json={"stats": STATS}))
    assert await script.queue.stats() == QueueStats(3, 1_700_000_000, 5)
    assert script.requests[0].url.params["getStats"] == "true"


@pytest.mark.parametrize(
    "stats", [None, [], "x", {}, STATS | {"totalTasks": None}, STATS | {"oldestTask": "x"}, STATS | {"oldestTask": []}]
)
async def test_invalid_statistics_make_the_queue_unavailable(stats: Any) -> None:
    script = Script(httpx.Response(200, json={"stats": stats}))
    with pytest.raises(QueueUnavailableError):
        await script.queue.stats()
    assert len(script.requests) == 1


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    ("payload", "enqueued_us", "is_one"),
    [
        (RESULT, 3_000, True),
        (RESULT, 9_000, True),
        (RESULT, 2_999, False),  # inserted before the task was
        (encode_result(failure("one", "code", "why")), 3_000, True),  # of version 0.1.0
        (encode_result(failure("one", "code", "why", 2_000)), 3_000, False),  # of an earlier submission
        (FOREIGN, 3_000, False),
        ("%%%", 3_000, False),
        ("a", 3_000, False),
        (encoded(b"{"), 3_000, False),
        (encoded(b"\xff"), 3_000, False),
        (encoded(b"[" * 48_000), 3_000, False),
        (encoded(b'{"kind": ' + b"[" * 48_000), 3_000, False),
    ],
)
def test_an_entry_is_the_result_of_a_task_only_if_it_names_its_submission(
    payload: str, enqueued_us: int, is_one: bool
) -> None:
    entry = FoundTask(LeasedTask("x", payload, 0, enqueued_us, 0), "result")
    assert is_result_of(TASK, entry) is is_one


def test_ids_of_results_differ_by_submission_and_have_at_most_500_characters() -> None:
    assert RESULT_ID == "one-3000-result"
    assert next(result_ids(msgspec.structs.replace(TASK, id="web-1"))) == "web-1-result"
    assert len({RESULT_ID, *OTHER_IDS}) == 4
    other = msgspec.structs.replace(TASK, enqueued_us=3_001)
    assert not {RESULT_ID, *OTHER_IDS} & set(result_ids(other))
    for characters in (488, 489):  # "-3000-result" has 12
        task = msgspec.structs.replace(TASK, id="i" * characters)
        first = next(result_ids(task))
        assert first.startswith("i") is (characters == 488)
        assert len(first) <= 500
    for characters in (493, 494):
        former = former_result_id("i" * characters)
        assert former.startswith("i") is (characters == 493)
        assert former.endswith("-result")
        assert len(former) <= 500
