"""Traces are exported to a receiver of OpenTelemetry's protocol if one is configured, and cost nothing otherwise."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from scripts.closure import closure
from tests.conftest import ROOT
from tests.processes import queue, start_service
from tests.redis_server import free_port
from tests.test_no_rust import is_rust

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PUPIL = "Pupil-Canary"


@contextmanager
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """Run a receiver; yield its address and the bodies that it has received."""
    bodies: list[bytes] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()


def spans_in(bodies: list[bytes]) -> list[Any]:
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    return [
        span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def wait_for(web: httpx.Client, address: str) -> None:
    deadline = time.monotonic() + 30
    while web.get(address).json()["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_spans_of_a_visitor_s_request_and_its_task_are_one_trace(tmp_path: Path) -> None:
    with receiver() as (address, bodies), queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running:
        service = start_service(
            running.address, tmp_path / "log", RENDER_WORKERS=1, OTEL_EXPORTER_OTLP_ENDPOINT=address
        )
        with httpx.Client(base_url=service.address, trust_env=False) as web:
            given = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            submitted = web.post("/resources/grid/tasks", data={"header_text": PUPIL}, headers=given)
            wait_for(web, submitted.headers["Location"])
        assert service.end(signal.SIGTERM) == 0
    spans = {span.name: span for span in spans_in(bodies) if span.trace_id.hex() == TRACE}
    request, task = spans["POST /resources/{slug}/tasks"], spans["task"]
    assert request.parent_span_id.hex() == PARENT
    assert task.parent_span_id == request.span_id
    for stage in ("render", "deliver", "settle"):
        assert spans[stage].parent_span_id == task.span_id
        assert task.start_time_unix_nano <= spans[stage].start_time_unix_nano
        assert spans[stage].end_time_unix_nano <= task.end_time_unix_nano
    assert {entry.key: entry.value.int_value for entry in request.attributes}["http.response.status_code"] == 303
    assert b"render-trio" in b"".join(bodies)
    assert PUPIL.encode() not in b"".join(bodies)
    done = [
        line for line in map(json.loads, (tmp_path / "log").read_text().splitlines()) if line["event"] == "task done"
    ]
    assert [line["trace"] for line in done] == [TRACE]


def test_a_receiver_that_is_unreachable_delays_neither_requests_nor_the_shutdown(tmp_path: Path) -> None:
    service = start_service(
        "http://127.0.0.1:9",
        tmp_path / "log",
        RENDER_WORKERS=1,
        SHUTDOWN_SECONDS=15,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"http://127.0.0.1:{free_port()}/v1/traces",
    )
    assert httpx.get(f"{service.address}/", trust_env=False).status_code == 200
    assert service.end(signal.SIGTERM) == 0, "70 would mean that the shutdown took too long"


def script(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys, trio\n"
        "from render_trio.observation import traces\n"
        f"{code}\n"
        "async def main():\n"
        f"    async with traces.exported({environment!r}):\n"
        "        with traces.span('a', '') as span: print('spanned', bool(span.traceparent))\n"
        "trio.run(main)\n"
        "print('imported', any(name.split('.')[0] == 'opentelemetry' for name, it in sys.modules.items() if it))\n"
    )
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_a_receiver_nothing_is_imported(environment: dict[str, str]) -> None:
    ended = script("import render_trio.service.process", **environment)
    assert ended.stdout == "spanned False\nimported False\n"
    assert ended.stderr == ""


@pytest.mark.parametrize(
    ("code", "more", "reason"),
    [
        ("sys.modules['opentelemetry'] = None", {}, "pip install render-trio[traces]"),
        ("", {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "the protocol is 'grpc'; allowed: 'http/protobuf'"),
        ("", {"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'; allowed: 'otlp', 'none'"),
    ],
    ids=["not installed", "protocol", "exporter"],
)
def test_an_export_that_is_not_possible_is_reported_and_nothing_else_changes(
    code: str, more: dict[str, str], reason: str
) -> None:
    ended = script(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", **more)
    assert "traces not exported" in ended.stdout
    assert reason in ended.stdout
    assert ended.stdout.endswith("spanned False\nimported False\n")


def test_the_extra_contains_no_rust() -> None:
    found = {**closure("opentelemetry-sdk"), **closure("opentelemetry-exporter-otlp-proto-http")}
    assert {"opentelemetry-api", "opentelemetry-proto", "protobuf"} <= set(found)
    assert [name for name, distribution in found.items() if is_rust(distribution)] == []
