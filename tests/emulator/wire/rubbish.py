"""Malformed requests, generated from a seed: well-framed ones, and ones that are not valid HTTP.

A well-framed request has a valid HTTP head and a body of the declared length; everything else may be invalid.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.emulator.server.running import CLOUD, PAYLOAD, PROJECT, TASKS

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get", "LEASE", "M-SEARCH", "X" * 60)
PATHS = (
    TASKS,
    f"{TASKS}/lease",
    f"{TASKS}/one",
    TASKS.removesuffix("/tasks"),
    f"{PROJECT}/other/tasks",
    CLOUD,
    f"{CLOUD}/tasks",
    f"{CLOUD}/tasks:lease",
    f"{CLOUD}/tasks/one",
    f"{CLOUD}/tasks/one:acknowledge",
    f"{CLOUD}/tasks/one:renewLease",
    f"{CLOUD}/tasks/one:cancelLease",
    f"{CLOUD}:pause",
    f"{CLOUD}:resume",
    CLOUD.removesuffix("/print"),
    "/api/taskqueue/v1beta2",
    "/discovery/v1/apis",
    "/discovery/v1/apis/cloudtasks/v2beta2/rest",
    "/batch",
    "/batch/a/b",
    "/admin/clock",
    "/admin/reset",
    "/health",
    "/metrics",
    "/",
    "/queues/shop/print",
    "/static/queues.css",
)
SEGMENTS = (
    "",
    ".",
    "..",
    "%00",
    "%2e%2e",
    "%2F",
    "%ff",
    "%F0%9F%92%A9",
    "%",
    "%zz",
    "~",
    "s~",
    "a b".replace(" ", "%20"),
)
SEGMENTS += (":", ":lease", "tasks:lease", "one:", "-", "_", "x" * 600, ";a=b", "*", "'", '"', "<script>", "lease")
NAMES = ("numTasks", "leaseSecs", "newLeaseSeconds", "groupByTag", "tag", "getStats", "fields", "alt", "prettyPrint")
NAMES += ("pageSize", "pageToken", "responseView", "readMask", "filter", "after", "key", "", "é", "x[]", "%ff", "\0")
VALUES = (
    "",
    "0",
    "1",
    "-1",
    "1.5",
    "1e3",
    "999999999999999999999",
    "٣",
    "true",
    "false",
    "True",
    "null",
    "NaN",
    "*",
    "a/b",
)
VALUES += ("items(id", "items(id,tag)", "(" * 50, "%", "%ff", "%00", "\n", "FULL", "json", "x" * 3000, "' OR 1=1 --")
HEADERS = (
    (
        "Content-Type",
        ("application/json", "text/plain", "multipart/mixed; boundary=x", "multipart/form-data; boundary=x"),
    ),
    (
        "Content-Type",
        ("application/x-www-form-urlencoded", "multipart/mixed", "a/b; boundary*0*=utf-8''%ff", "/", ";;;"),
    ),
    ("X-HTTP-Method-Override", ("GET", "PATCH", "DELETE", "PUT", "HEAD", "", "lease", "\xff")),
    ("Prefer", ("wait=0", "wait=-1", "wait=x", "wait", "respond-async, wait=0", "=;,", 'wait="0"')),
    ("Authorization", ("Bearer x", "Basic x", "Basic eDp5", "Bearer", "\xff\xfe")),
    ("Content-Encoding", ("gzip", "identity", "br, gzip")),
    ("Host", ("x", "[::1]", "a b", "x:99999999", "<", "\xe9")),
    ("Origin", ("null", "http://evil.example.org", "x")),
    ("Sec-Fetch-Site", ("cross-site", "same-origin", "none", "?")),
    ("X-Forwarded-Proto", ("https", "x", ",,", "\xff")),
    ("Cookie", ("a=b; c", "=" * 100, "\xff")),
    ("Range", ("bytes=0-1", "bytes=9-1", "x=1", "bytes=-")),
    ("If-Modified-Since", ("Thu, 01 Jan 1970 00:00:00 GMT", "yesterday")),
    ("If-None-Match", ("*", '"x"', "W/")),
    ("Accept", ("", "text/html", ";;q=x", "*/*;q=2")),
    ("Accept-Encoding", ("gzip", "*;q=0", "\xff")),
    ("Expect", ("100-continue",)),
    ("X-" + "y" * 50, ("z" * 900,)),
)
BODIES: tuple[dict[str, Any], ...] = (
    {"id": "one", "queueName": "print", "payloadBase64": PAYLOAD, "tag": "x", "leaseTimestamp": "0"},
    {"task": {"name": "x", "pullMessage": {"payload": PAYLOAD, "tag": "x"}, "scheduleTime": "2026-01-01T00:00:00Z"}},
    {"maxTasks": 1, "leaseDuration": "0s", "filter": "tag=x", "responseView": "FULL"},
    {"scheduleTime": "2026-01-01T00:00:00Z", "leaseDuration": "1s"},
    {"name": "projects/shop/locations/here/queues/print", "retryConfig": {"maxAttempts": 1}},
    {"advance": 1},
)
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    1e308,
    "",
    "x",
    "\0",
    "\ud800",
    "é" * 400,
    [],
    [[]],
    {},
    {"a": 1},
    ["x"],
)
RAW = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe{",
    b"[" * 50_000,
    b'{"a":' * 5000,
    b'{"id":"\\ud800"}',
    b"\0" * 100,
)
RAW += (b"verb=purge", b"verb=delete&task=%ff", b"--x\r\n", b"--x--", b"--x\r\n\r\n\r\n--x--\r\n", b"a=" + b"&" * 3000)
RAW += (b"--x\r\nContent-Type: application/http\r\n\r\nGET / HTTP/9\r\n: :\r\n\r\n--x\r\n\r\n--x--\r\n",)
RAW += (
    b'--x\r\nContent-Disposition: form-data; name="verb"\r\n\r\npause\r\n--x--\r\n',
    b"--x\r\nContent-Disposition: \xff\r\n",
)


def well_framed(rng: random.Random) -> bytes:
    """Return a request that is valid HTTP, but otherwise random."""
    method = rng.choice(METHODS)
    headers = [(name, rng.choice(values)) for name, values in rng.sample(HEADERS, rng.randrange(4))]
    if not any(name == "Host" for name, _ in headers):
        headers.append(("Host", "127.0.0.1"))
    body = _body(rng) if rng.random() < 0.6 else b""
    if body and rng.random() < 0.2:
        headers.append(("Transfer-Encoding", "chunked"))
        cut = rng.randrange(len(body))
        parts = [part for part in (body[:cut], body[cut:]) if part]
        framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    else:
        if body or rng.random() < 0.5:
            headers.append(("Content-Length", str(len(body))))
        framed = body
    head = f"{method} {_path(rng)}{_query(rng)} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers)
    return head.encode("latin-1") + b"\r\n" + framed


def invalid_http(rng: random.Random) -> bytes:
    """Return bytes that are not a request, or an incomplete request."""
    request = well_framed(rng)
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: rng.randbytes(rng.randrange(1, 400)),
        lambda: request[: rng.randrange(len(request))],
        lambda: request.replace(b"\r\n", b"\n\r", 1),
        lambda: request.replace(b"HTTP/1.1", rng.choice((b"HTTP/9.9", b"HTTP/1.0", b"", b"ICY"))),
        lambda: b"GET / HTTP/1.1\r\n" + b"a" * 70_000,
        lambda: b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        lambda: f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{{".encode(),
        lambda: f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n{{}}".encode(),
        lambda: f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n{{}}".encode(),
        lambda: f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode(),
        lambda: f"POST {TASKS}/lease HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=60\r\n\r\n".encode(),
        lambda: b"GET / HTTP/1.1\r\nHost: [::]\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: \xff\r\n\r\n",
        lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rng.randbytes(50),
        lambda: _websocket(rng) + rng.randbytes(rng.randrange(300)),
    )
    return rng.choice(kinds)()


def _websocket(rng: random.Random) -> bytes:
    path, key = rng.choice(PATHS), rng.choice(("dGhlIHNhbXBsZSBub25jZQ==", "x", ""))
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: {rng.choice(('13', '8', 'x'))}\r\n\r\n"
    ).encode()


def _path(rng: random.Random) -> str:
    path = rng.choice(PATHS)
    if rng.random() < 0.5:
        return path
    segments = path.split("/")
    for _ in range(rng.randrange(1, 3)):
        segments[rng.randrange(1, len(segments))] = rng.choice(SEGMENTS)
    return "/".join(segments) + rng.choice(("", "", "", "/", "//", "/lease"))


def _query(rng: random.Random) -> str:
    pairs = [(rng.choice(NAMES), rng.choice(VALUES)) for _ in range(rng.choice((0, 0, 1, 2, 4, 150)))]
    if rng.random() < 0.4:
        pairs += [("numTasks", "1"), ("leaseSecs", "0"), ("newLeaseSeconds", "0")]
    # Percent signs are not escaped, so that some escapes are invalid.
    return ("?" + "&".join(f"{quote(n, safe='%')}={quote(v, safe='%')}" for n, v in pairs)) if pairs else ""


def _body(rng: random.Random) -> bytes:
    if rng.random() < 0.4:
        return rng.choice(RAW)
    body = json.loads(json.dumps(rng.choice(BODIES)))
    for _ in range(rng.randrange(3)):
        inner = rng.choice([body, *(value for value in body.values() if isinstance(value, dict) and value)])
        inner[rng.choice(list(inner))] = copy.deepcopy(rng.choice(ODD))
    encoded = json.dumps(body).encode()
    return encoded[: rng.randrange(len(encoded))] if rng.random() < 0.2 else encoded
