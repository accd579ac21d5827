"""Batches: several calls in one request, each with its own reply."""

from __future__ import annotations

import contextlib
import re
from email.message import Message
from email.parser import BytesHeaderParser

import httpx
import pytest

from emulator.wire import batches
from emulator.wire.calls import Call
from emulator.wire.errors import ApiError
from tests.emulator.server.running import CLOUD, PAYLOAD, TASKS, error_of

PART = "--x\r\nContent-Type: application/http\r\n{}\r\n{}\r\n"
MIXED = {"Content-Type": 'multipart/mixed; boundary="x"'}


def part(request: str, *headers: str) -> str:
    return PART.format("".join(f"{header}\r\n" for header in headers), request)


async def send(client: httpx.AsyncClient, *parts: str, path: str = "/batch") -> list[tuple[str, int, str]]:
    """Return the ID, status and body of each reply."""
    response = await client.post(path, content="".join(parts) + "--x--\r\n", headers=MIXED)
    assert response.status_code == 200, response.text
    boundary = re.fullmatch(r"multipart/mixed; boundary=(batch_\w+)", response.headers["Content-Type"])
    assert boundary
    replies = []
    for answer in response.text.split(f"--{boundary[1]}")[1:-1]:
        outer, head, body = answer.strip("\r\n").split("\r\n\r\n", 2) if "\r\n\r\n{" in answer else (answer, "", "")
        named = re.search(r"^Content-ID: <(.*)>\r?$", outer, re.MULTILINE)
        status = re.search(r"HTTP/1\.1 (\d+)", answer)
        assert status
        length = re.search(r"Content-Length: (\d+)", answer)
        assert length
        assert len(body.encode()) == int(length[1])
        assert head or status[1] == "204"
        replies.append((named[1] if named else "", int(status[1]), body))
    return replies


async def test_parts_are_answered_in_order_with_their_ids(client: httpx.AsyncClient) -> None:
    insert = f'POST {TASKS}?prettyPrint=false HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{{"id": "one", '
    insert += f'"payloadBase64": "{PAYLOAD}"}}'
    replies = await send(
        client,
        part(insert, "Content-ID: <a b + 1>"),
        part(f"GET {TASKS}/one?fields=id HTTP/1.1\r\n\r\n", "Content-ID: 2"),
        part(f"GET {CLOUD}/tasks/gone"),
        part(f"POST {TASKS}/one HTTP/1.1\r\nX-HTTP-Method-Override: DELETE\r\n\r\n", "Content-ID: <3>"),
    )
    assert [(name, status) for name, status, _ in replies] == [
        ("response-a b + 1", 200),
        ("response-2", 200),
        ("", 404),
        ("response-3", 204),
    ]
    assert replies[0][2].startswith('{"kind":"taskqueues#task"')
    assert replies[1][2] == '{\n "id": "one"\n}'
    assert '"status": "NOT_FOUND"' in replies[2][2]


async def test_the_batch_path_of_newer_clients_is_supported(client: httpx.AsyncClient) -> None:
    replies = await send(client, part(f"GET {TASKS}"), path="/batch/taskqueue/v1beta2")
    assert replies[0][1] == 200


@pytest.mark.parametrize(
    ("request_text", "message"),
    [
        ("", "the part begins with ''; allowed: METHOD /path HTTP/1.1"),
        ("hello", "the part begins with 'hello'"),
        ("GET batch", "the path of the part is 'batch'"),
        ("POST /batch", "the path of the part is '/batch'; allowed: any path except /batch"),
        ("GET http://[bad/x", "the URL of the part is"),
        (f"GET {TASKS}?x=%ff", "the query is not valid UTF-8"),
        (f"GET {TASKS}?alt=xml", "alt is 'xml'"),
        (f"POST {TASKS} HTTP/1.1\r\n\r\n", "the body is empty"),
    ],
)
async def test_an_invalid_part_affects_only_its_own_reply(
    client: httpx.AsyncClient, request_text: str, message: str
) -> None:
    ((_, status, body), (_, good, _)) = await send(client, part(request_text), part(f"GET {TASKS}"))
    assert (status, good) == (400, 200)
    assert message in body


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("application/json", "{}", "Content-Type is 'application/json'; allowed: multipart/mixed with a boundary"),
        ("multipart/mixed; boundary=" + "x" * 201, "x", "a boundary of up to 200 characters"),
        ("multipart/mixed", "x", "allowed: multipart/mixed with a boundary"),
        ("multipart/mixed; boundary=x", "no part at all", "the batch has no parts"),
        (
            "multipart/mixed; boundary=x",
            part("GET /health") * 1001 + "--x--",
            "the batch has more than 1000 calls",
        ),
    ],
)
async def test_an_invalid_batch_is_refused(client: httpx.AsyncClient, kind: str, body: str, message: str) -> None:
    response = await client.post("/batch", content=body, headers={"Content-Type": kind})
    assert response.status_code == 400
    assert message in error_of(response)["message"]


async def test_a_batch_may_be_larger_than_a_task_but_a_part_may_not(client: httpx.AsyncClient) -> None:
    large = f"POST {TASKS} HTTP/1.1\r\n\r\n" + "x" * 1_500_000
    replies = await send(client, part(large), part(f"GET {TASKS}", "Content-ID: 1"))
    assert [status for _, status, _ in replies] == [413, 200]
    over = await client.post("/batch", content=b"x" * (17 * 1024 * 1024), headers=MIXED)
    assert (over.status_code, error_of(over)["reason"]) == (413, "uploadTooLarge")


async def test_a_lease_in_a_batch_does_not_wait(client: httpx.AsyncClient) -> None:
    lease = f"POST {TASKS}/lease?numTasks=1&leaseSecs=1 HTTP/1.1\r\nPrefer: wait=60\r\n\r\n"
    replies = await send(client, part(lease))
    assert replies[0][1] == 200


async def test_a_batch_stops_when_its_replies_get_too_large(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("emulator.wire.batches.REPLY_BYTES", 10)
    replies = await send(client, part(f"GET {TASKS}"), part(f"POST {CLOUD}:pause", "Content-ID: <2>"))
    assert [(name, status) for name, status, _ in replies] == [("", 200), ("response-2", 413)]
    assert "not executed" in replies[1][2]


@pytest.mark.parametrize(
    "body",
    [
        b"--x\r\n\r\n" + b"\n" * 4_000_000 + b"\r\n--x--",
        b"--x\r\n" + b"a: b\r\n" * 600_000 + b"\r\n\r\n--x--",
        b"--x\r\nContent-Type: application/http\r\n\r\nGET /health\r\n" + b"a: b\r\n" * 600_000 + b"\r\n\r\n--x--",
        b"--x\n" * 900_000,
    ],
    ids=["lines", "headers", "inner headers", "delimiters"],
)
def test_large_batches_are_not_parsed_line_by_line(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    # The standard library's parser would block the event loop for seconds on each of these.
    sizes: list[int] = []

    class RecordingParser(BytesHeaderParser):
        def parsebytes(self, text: bytes | bytearray, headersonly: bool = True) -> Message:
            sizes.append(len(text))
            return super().parsebytes(text, headersonly)

    monkeypatch.setattr("emulator.wire.batches.BytesHeaderParser", RecordingParser)
    call = Call("POST", "/batch", headers={"content-type": "multipart/mixed; boundary=x"}, body=body)
    with contextlib.suppress(ApiError):
        for found in batches._parts(call):
            batches._call(call, found)
    assert max(sizes, default=0) <= batches.PART_HEAD_BYTES


async def test_a_line_that_only_starts_like_the_boundary_is_content(client: httpx.AsyncClient) -> None:
    lease = f"POST {TASKS} HTTP/1.1\r\n\r\n\r\n--xy\r\n--x-\r\n"
    ((_, status, body),) = await send(client, part(lease))
    assert (status, "the body is not valid JSON" in body) == (400, True)
