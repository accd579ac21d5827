"""Requests that differ harmlessly from the specification are accepted; those that only look harmless are not."""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from emulator.wire.batches import BATCH_BYTES
from emulator.wire.bodies import GZIP_MEMBERS
from emulator.wire.errors import ApiError
from emulator.wire.parameters import BODY_BYTES, payload_of, whole_number
from tests.emulator.server.running import CLOUD, PAYLOAD, TASKS, error_of, insert

FORM = {"numTasks": "10", "leaseSecs": "60"}
QUEUE = TASKS.removesuffix("/tasks")


async def leased(client: httpx.AsyncClient, **query: Any) -> list[str]:
    response = await client.post(f"{TASKS}/lease", params=FORM | query)
    assert response.status_code == 200, response.text
    return [task["id"] for task in response.json().get("items", [])]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (10, 10),
        (10.0, 10),
        (1.5e3, 1500),
        ("10", 10),
        ("010", 10),
        ("10.0", 10),
        ("1e1", 10),
        ("1E+1", 10),
        ("100e-1", 10),
        ("-3", -3),
        ("-0", 0),
        ("9007199254740993", 2**53 + 1),
        (True, None),
        (None, None),
        ([], None),
        (10.5, None),
        (float("inf"), None),
        (float("nan"), None),
        *(
            (text, None)
            for text in ("", "10.5", "1e-1", "ten", " 10", "+10", "1_0", "0x10", "１０", "²", "nan", "1e999")
        ),
    ],
)
def test_whole_numbers_have_many_forms(value: object, number: int | None) -> None:
    assert whole_number(value) == number


@pytest.mark.parametrize("seconds", ["10", "10.0", "1e1"])
async def test_integers_may_have_a_fraction_of_zero(client: httpx.AsyncClient, seconds: str) -> None:
    await insert(client, id="one")
    assert await leased(client, leaseSecs=seconds, numTasks="1.00") == ["one"]
    renewed = await client.patch(f"{TASKS}/one", params={"newLeaseSeconds": seconds}, json={"queueName": "print"})
    assert renewed.status_code == 200
    held = float(renewed.json()["leaseTimestamp"])
    again = {"queueName": "print", "leaseTimestamp": held}  # JavaScript and PHP have only floats
    assert (await client.patch(f"{TASKS}/one?newLeaseSeconds=0.0", json=again)).status_code == 200
    wrong = await client.post(f"{TASKS}/lease", params=FORM | {"leaseSecs": "10.5"})
    assert error_of(wrong)["location"] == "leaseSecs"


@pytest.mark.parametrize("yes", ["1", "yes", "True", "TRUE", "on"])
@pytest.mark.parametrize("no", ["0", "no", "False", "off"])
async def test_flags_have_many_forms(client: httpx.AsyncClient, yes: str, no: str) -> None:
    assert "stats" in (await client.get(QUEUE, params={"getStats": yes})).json()
    assert "stats" not in (await client.get(QUEUE, params={"getStats": no})).json()
    assert error_of(await client.get(QUEUE, params={"getStats": ""}))["location"] == "getStats"


async def test_a_lease_accepts_its_parameters_as_a_form(client: httpx.AsyncClient) -> None:
    for name, tag in (("one", "x"), ("two", "y"), ("three", "x")):
        await insert(client, id=name, tag=tag)
    form = FORM | {"groupByTag": "True", "tag": "x", "fields": "items(id)"}
    assert (await client.post(f"{TASKS}/lease", data=form)).json() == {"items": [{"id": "one"}, {"id": "three"}]}
    assert (await client.post(f"{TASKS}/lease?numTasks=0", data=FORM)).status_code == 400  # the query takes precedence
    headers = {"Content-Type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}
    body = b"numTasks=1&leaseSecs=10.0"
    assert len((await client.post(f"{TASKS}/lease", content=body, headers=headers)).json()["items"]) == 1
    wrong = await client.post(f"{TASKS}/lease", content=b"numTasks=%ff", headers=headers)
    assert (wrong.status_code, "UTF-8" in error_of(wrong)["message"]) == (400, True)


async def test_a_body_is_ignored_where_a_method_has_none(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    for body in (b"{}", b"", b"null", b"\xff"):
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            if body == b"\xff" and kind.endswith("urlencoded"):
                continue
            response = await client.post(
                f"{TASKS}/lease", params=FORM | {"leaseSecs": "0"}, content=body, headers={"Content-Type": kind}
            )
            assert [task["id"] for task in response.json()["items"]] == ["one"]
    assert (await client.request("GET", TASKS, content=b"{}")).status_code == 200
    assert (await client.post(f"{CLOUD}:pause", content=b"")).status_code == 200
    assert (await client.request("DELETE", f"{TASKS}/one", content=b"{}")).status_code == 204


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "text/plain", "", "application/json; charset=utf8"]
)
async def test_json_is_accepted_with_any_content_type(client: httpx.AsyncClient, kind: str) -> None:
    body = json.dumps({"id": "one", "payloadBase64": PAYLOAD}).encode()
    response = await client.post(TASKS, content=b"\xef\xbb\xbf" + body, headers={"Content-Type": kind})
    assert response.json()["id"] == "one"


async def test_update_needs_no_queue_name(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    (task,) = (await client.post(f"{TASKS}/lease", data=FORM)).json()["items"]
    for token in (task["leaseTimestamp"], None):
        body = {"id": "one", "leaseTimestamp": token}
        updated = await client.post(f"{TASKS}/one?newLeaseSeconds=60", json=body)
        assert updated.status_code == 200
    other = await client.post(f"{TASKS}/one?newLeaseSeconds=60", json={"queueName": "other"})
    assert error_of(other)["location"] == "queueName"
    patch = await client.patch(f"{TASKS}/one?newLeaseSeconds=60", json={})
    assert error_of(patch)["location"] == "queueName"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("asdf123", "asdf120="),  # unused bits that are not 0
        ("asdf123=", "asdf120="),
        ("YR", "YQ=="),
        ("YQ=", "YQ=="),  # wrong padding
        ("YQ===", "YQ=="),
        ("YWJj=", "YWJj"),
        ("YWJj\r\nYWJj\n", "YWJjYWJj"),  # line breaks, as in MIME
        ("  YQ==  ", "YQ=="),
        ("-_+/", "+/+/"),  # mixed alphabets
        ("-_9", "-_8="),  # completed in its own alphabet
        ("YQ", "YQ"),  # valid texts are returned as they were sent
        ("YQ==", "YQ=="),
        ("-_8", "-_8"),
        ("-_8=", "-_8="),
        ("+/8=", "+/8="),
        ("YWJj", "YWJj"),
    ],
)
async def test_a_payload_becomes_valid_base64(client: httpx.AsyncClient, sent: str, stored: str) -> None:
    assert (await insert(client, id="one", payloadBase64=sent)).json()["payloadBase64"] == stored
    assert (await client.get(f"{TASKS}/one")).json()["payloadBase64"] == stored


@pytest.mark.parametrize("payload", ["invalid#payload", "asdf1", "YQ==YQ==", "Y Q!", "=", "\n", "é", "YQ\0="])
async def test_a_payload_that_no_decoder_reads_is_refused(client: httpx.AsyncClient, payload: str) -> None:
    refused = await insert(client, payloadBase64=payload)
    assert (refused.status_code, error_of(refused)["location"]) == (400, "payloadBase64")


@given(st.text("ABCDgwxyz019+/-_=\n ", max_size=24))
def test_whatever_payload_is_accepted_can_be_decoded_strictly(text: str) -> None:
    try:
        stored = payload_of(text, "payload")
    except ApiError:
        return
    digits = stored.rstrip("=").replace("-", "+").replace("_", "/")
    content = binascii.a2b_base64(digits + "=" * (-len(digits) % 4), strict_mode=True)
    assert base64.b64encode(content).decode().rstrip("=") == digits  # the unused bits are 0
    assert len(stored) - len(digits) in (0, -len(digits) % 4)
    assert not (set("+/") & set(stored) and set("-_") & set(stored))
    # The bytes are those that a lenient decoder returns for the text that was sent.
    sent = "".join(text.split()).rstrip("=").replace("-", "+").replace("_", "/")
    assert content == base64.b64decode(sent + "=" * (-len(sent) % 4))
    assert payload_of(stored, "payload") == stored


BODY = json.dumps({"id": "one", "payloadBase64": PAYLOAD}).encode()


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "identity", ""])
async def test_a_body_may_be_compressed_with_gzip(client: httpx.AsyncClient, encoding: str) -> None:
    content = gzip.compress(BODY[:5]) + gzip.compress(BODY[5:]) if "gzip" in encoding.lower() else BODY
    response = await client.post(TASKS, content=content, headers={"Content-Encoding": encoding})
    assert response.json()["id"] == "one"


async def test_the_form_of_a_page_may_be_compressed(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    content = gzip.compress(b"verb=purge&sure=yes")
    assert (await client.post("/queues/shop/print", content=content, headers=headers)).status_code == 303
    assert (await client.get(TASKS)).json() == {"kind": "taskqueues#tasks"}


@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_an_encoding_without_a_body_means_nothing(client: httpx.AsyncClient, encoding: str) -> None:
    assert (await client.get(TASKS, headers={"Content-Encoding": encoding})).status_code == 200
    assert (await client.post(f"{TASKS}/lease", params=FORM, headers={"Content-Encoding": encoding})).status_code == 200


@pytest.mark.parametrize("encoding", ["deflate", "br", "gzip, gzip", "zstd", "é"])
@pytest.mark.parametrize("path", [TASKS, f"{CLOUD}/tasks", "/batch", "/queues/shop/print"])
async def test_other_encodings_are_refused(client: httpx.AsyncClient, path: str, encoding: str) -> None:
    headers = [(b"Content-Encoding", encoding.encode("latin-1"))]
    refused = await client.post(path, content=b"{}", headers=headers)
    assert (refused.status_code, refused.headers["Accept-Encoding"]) == (415, "gzip")
    assert "gzip, identity" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "content",
    [b"{}", gzip.compress(BODY)[:-9], gzip.compress(BODY) + b"{}", zlib.compress(BODY), gzip.compress(b"") * 11],
)
async def test_damaged_gzip_data_is_refused(client: httpx.AsyncClient, content: bytes) -> None:
    assert GZIP_MEMBERS < 11
    refused = await client.post(TASKS, content=content, headers={"Content-Encoding": "gzip"})
    assert (refused.status_code, error_of(refused)["location"]) == (400, "Content-Encoding")


@pytest.mark.parametrize(
    ("path", "limit"), [(TASKS, BODY_BYTES), ("/batch", BATCH_BYTES), ("/queues/shop/print", 16384)]
)
async def test_a_decompression_bomb_is_refused(client: httpx.AsyncClient, path: str, limit: int) -> None:
    bomb = zlib.compressobj(9, wbits=31)
    content = b"".join([bomb.compress(bytes(1 << 20)) for _ in range(limit // (1 << 20) + 1)]) + bomb.flush()
    refused = await client.post(path, content=content, headers={"Content-Encoding": "gzip"}, timeout=20)
    assert (refused.status_code, error_of(refused)["reason"]) == (413, "uploadTooLarge")
    assert str(limit) in error_of(refused)["message"]


async def test_a_part_of_a_batch_may_be_compressed(client: httpx.AsyncClient) -> None:
    for body, status in ((gzip.compress(BODY), b"200 OK"), (gzip.compress(bytes(BODY_BYTES + 1)), b"413 ")):
        head = f"POST {TASKS} HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\n".encode()
        content = b"--b\r\nContent-Type: application/http\r\n\r\n" + head + body + b"\r\n--b--"
        response = await client.post("/batch", content=content, headers={"Content-Type": "multipart/mixed; boundary=b"})
        assert status in response.content


async def raw(client: httpx.AsyncClient, target: str, method: str = "GET", headers: str = "") -> tuple[int, bytes]:
    """Send a request with this target as it is; return the status and the body."""
    stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0)
    async with stream:
        request = f"{method} {target} HTTP/1.1\r\nHost: [::]\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n"
        await stream.send_all(request.encode())
        reply = b"".join([part async for part in stream])
    return int(reply[9:12]), reply.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("target", ["http://127.0.0.1:5{}", "HTTP://127.0.0.1:5{}", "https://127.0.0.1:5{}"])
async def test_a_target_may_have_the_absolute_form(client: httpx.AsyncClient, target: str) -> None:
    status, body = await raw(client, target.format("/api/taskqueue/v1beta2?fields=rootUrl&prettyPrint=false"))
    # The host in the target takes precedence over the header.
    assert (status, body) == (200, b'{"rootUrl":"http://127.0.0.1:5/"}')
    status, body = await raw(client, target.format(""))
    assert (status, b"<h1>" in body) == (200, True)
    status, body = await raw(client, target.format("?x=y"))
    assert status == 200
    status, _ = await raw(client, target.format(f"{TASKS}/lease?numTasks=1&leaseSecs=1"), "POST")
    assert status == 200
    assert (await raw(client, target.format("/health"), "HEAD"))[0] == 200


@pytest.mark.parametrize(
    "target", ["http://a@b/health", 'http://"/health', "http:///health", "ftp://a/health", "health", "*"]
)
async def test_other_targets_are_refused(client: httpx.AsyncClient, target: str) -> None:
    assert (await raw(client, target))[0] in (400, 404)


async def test_a_page_of_another_site_gains_nothing_from_the_absolute_form(client: httpx.AsyncClient) -> None:
    headers = "Origin: http://evil\r\n"
    assert (await raw(client, f"http://localhost{TASKS}/lease?numTasks=1&leaseSecs=1", "POST", headers))[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        f"/{TASKS}",
        f"///{TASKS}",
        TASKS.replace("/v1beta2", "//v1beta2"),
        TASKS.replace("/tasks", "//tasks"),
        TASKS.replace("taskqueue/", "task%71ueue/"),
        TASKS.replace("~", "%7E").replace("print", "%70rint"),
        f"{TASKS}/one/",
        f"{QUEUE}/",
        f"/{CLOUD}/tasks",
        "/health/",
        "//health",
        "/%24discovery/rest?version=v1beta2",
    ],
)
async def test_harmless_variants_of_a_path_are_accepted(client: httpx.AsyncClient, path: str) -> None:
    await insert(client, id="one")
    assert (await client.get(httpx.URL(str(client.base_url) + path))).status_code == 200
    assert (await client.head(httpx.URL(str(client.base_url) + path))).status_code == 200


async def test_the_colon_before_a_verb_may_be_encoded(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    body = {"maxTasks": 1, "leaseDuration": "60s"}
    (task,) = (await client.post(f"{CLOUD}/tasks%3Alease", json=body)).json()["tasks"]
    path = f"{CLOUD}/tasks/one%3aacknowledge"
    assert (await client.post(path, json={"scheduleTime": task["scheduleTime"]})).json() == {}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{TASKS}/?newLeaseSeconds=60"),  # an update without an ID must not become an insert
        ("GET", f"{TASKS}/"),
        ("DELETE", f"{TASKS}/"),
        ("POST", f"{TASKS}//lease?numTasks=1&leaseSecs=1"),
        ("GET", f"{QUEUE.rpartition('/')[0]}//tasks"),
        ("GET", TASKS.replace("s~shop", "")),
        ("POST", f"{CLOUD}/tasks/:acknowledge"),
        ("GET", f"{TASKS}%2Fone"),
        ("GET", "/" * 15_000),
    ],
)
async def test_an_empty_name_in_a_path_matches_nothing(client: httpx.AsyncClient, method: str, path: str) -> None:
    url = httpx.URL(str(client.base_url) + path)
    response = await client.request(method, url, json={"payloadBase64": PAYLOAD, "queueName": "print"})
    assert response.status_code in (400, 404, 405)
    assert (await client.get(TASKS)).json() == {"kind": "taskqueues#tasks"}


@pytest.mark.parametrize("path", ["/batch", "//batch", "/%62atch", "/batch/", "http://x/batch"])
async def test_a_batch_in_a_batch_is_refused_however_its_path_is_written(client: httpx.AsyncClient, path: str) -> None:
    content = f"--b\r\nContent-Type: application/http\r\n\r\nPOST {path} HTTP/1.1\r\n\r\n\r\n--b--".encode()
    response = await client.post("/batch", content=content, headers={"Content-Type": "multipart/mixed; boundary=b"})
    assert b"any path except /batch" in response.content


@pytest.mark.parametrize("version", ["v1beta2", "v2beta2"])
async def test_the_discovery_documents_are_also_found_by_version(client: httpx.AsyncClient, version: str) -> None:
    document = (await client.get("/$discovery/rest", params={"version": version})).json()
    assert document["version"] == version
    assert (await client.get(f"/api/{document['name']}/{version}")).json() == document
    assert error_of(await client.get("/$discovery/rest"))["location"] == "version"
    assert (await client.get("/$discovery/rest?version=v9")).status_code == 404
