"""A producer's surroundings for tests: results of any content in a real queue, and a web server for documents."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

PDF = b"%PDF-1.5\n%%EOF\n"


def pdf(text: str) -> bytes:
    """Return a document that differs with the text. A producer only looks at its beginning."""
    return PDF + text.encode()


def document_result(content: bytes = PDF, /, **keys: Any) -> dict[str, Any]:
    """Return a result with its document inside; `keys` add to its keys or replace them."""
    encoded = base64.b64encode(content).decode()
    result = {"kind": "result#document", "success": True, "task_id": "one", "filename": "Grid (a4).pdf"}
    return result | {"document": encoded, "pages": 1, "sha256": hashlib.sha256(content).hexdigest()} | keys


def link_result(url: str, document: bytes = PDF, **keys: Any) -> dict[str, Any]:
    """Return a result with a link to its document."""
    result = {"kind": "result#link", "success": True, "task_id": "one", "filename": "Grid (a4).pdf", "url": url}
    return result | {"pages": 1, "sha256": hashlib.sha256(document).hexdigest()} | keys


@dataclass(frozen=True)
class Inbox:
    """One queue of a real queue service, which has no other user."""

    address: str
    name: str

    @property
    def tasks(self) -> str:
        """The address of its tasks."""
        return f"{self.address}/taskqueue/v1beta2/projects/render/taskqueues/{self.name}/tasks"

    def put(self, result: dict[str, Any] | bytes | str, tag: str = "result", task_id: str = "") -> str:
        """Insert a result (an object, or the bytes or the Base64 of anything); returns its own ID."""
        if isinstance(result, dict):
            result = json.dumps(result).encode()
        payload = result if isinstance(result, str) else base64.b64encode(result).decode()
        body = {"queueName": self.name, "payloadBase64": payload, "tag": tag, "id": task_id or uuid.uuid4().hex}
        response = httpx.post(self.tasks, json=body, trust_env=False)
        return str(response.raise_for_status().json()["id"])

    def items(self) -> list[dict[str, Any]]:
        """Return everything in the queue."""
        found = httpx.get(self.tasks, trust_env=False).raise_for_status().json()
        items: list[dict[str, Any]] = found.get("items", [])
        return items

    def task(self, task_id: str) -> dict[str, Any]:
        """Return the values of a task."""
        item = httpx.get(f"{self.tasks}/{task_id}", trust_env=False).raise_for_status().json()
        values: dict[str, Any] = json.loads(base64.b64decode(item["payloadBase64"]))
        return values

    def ids(self) -> list[str]:
        """Return the IDs of everything in the queue."""
        return sorted(item["id"] for item in self.items())


class Web:
    """A web server: `pages` are its responses by path, as (status, headers, body) or a function that handles it."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes] | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                page = web.pages.get(self.path, (404, {}, b"not here"))
                if callable(page):
                    page(self)
                    return
                status, headers, body = page
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def web_server() -> Iterator[Web]:
    """Run a web server."""
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.server.shutdown()
        thread.join()
        web.server.server_close()
