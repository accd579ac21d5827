"""Linked documents are fetched within limits, and count only if they have the digest in the result."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from render_trio.delivery.directory import DirectoryStore
from render_trio.errors import BrokenResultError, UnavailableError
from render_trio.queue import links
from render_trio.queue.links import Links
from render_trio.queue.messages import LinkResult
from render_trio.queue.task_queue.transport import LoopTransport
from tests.redis_server import free_port
from tests.render_trio.queue.producing import PDF, Web

DIGEST = hashlib.sha256(PDF).hexdigest()


def link(url: str, sha256: str = DIGEST) -> LinkResult:
    return LinkResult(task_id="one", filename="x.pdf", url=url, pages=1, sha256=sha256)


async def fetch(url: str, folder: Path | None = None, *, sha256: str = DIGEST, max_bytes: int = 1000) -> bytes:
    fetching = Links(LoopTransport(), folder, max_bytes)
    try:
        return await fetching.fetch(link(url, sha256))
    finally:
        await fetching.aclose()


async def test_a_document_is_fetched(web: Web) -> None:
    web.pages["/x.pdf"] = (200, {"Content-Type": "application/pdf"}, PDF)
    assert await fetch(f"{web.address}/x.pdf") == PDF


async def test_redirects_are_followed_within_a_limit(web: Web) -> None:
    for number in range(links.MAX_REDIRECTS):
        web.pages[f"/{number}"] = (302, {"Location": f"/{number + 1}"}, b"")
    web.pages[f"/{links.MAX_REDIRECTS}"] = (200, {}, PDF)
    assert await fetch(f"{web.address}/0") == PDF
    web.pages["/loop"] = (301, {"Location": "/loop"}, b"")
    web.requests.clear()
    with pytest.raises(UnavailableError, match="more than 5 redirects"):
        await fetch(f"{web.address}/loop")
    assert len(web.requests) == 1 + links.MAX_REDIRECTS


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://x/y", "http://", "//[", ""])
async def test_a_redirect_leads_only_to_web_addresses(web: Web, target: str) -> None:
    web.pages["/x"] = (302, {"Location": target}, b"")
    with pytest.raises(UnavailableError):
        await fetch(f"{web.address}/x")


@pytest.mark.parametrize("status", [403, 404, 410, 429, 500, 503, 204])
async def test_an_error_status_is_reported(web: Web, status: int) -> None:
    web.pages["/x"] = (status, {}, b"" if status == 204 else b"no")
    with pytest.raises(UnavailableError, match=f"status {status}"):
        await fetch(f"{web.address}/x")


async def test_a_server_that_is_down_is_reported() -> None:
    with pytest.raises(UnavailableError, match="ConnectError"):
        await fetch(f"http://127.0.0.1:{free_port()}/x.pdf")


async def test_too_large_a_document_is_cut_off(web: Web) -> None:
    web.pages["/large"] = (200, {}, PDF + b"x" * 2000)
    web.pages["/bomb"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(PDF + b"x" * 1_000_000))
    for path in ("/large", "/bomb"):
        with pytest.raises(UnavailableError, match="more than 1000 bytes"):
            await fetch(f"{web.address}{path}")


async def test_a_server_that_sends_endlessly_is_given_up(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte arrives in time, the whole document does not."""
    monkeypatch.setattr(links, "FETCH_SECONDS", 0.3)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"x")

    web.pages["/drip"] = drip
    with pytest.raises(UnavailableError, match="no complete response"):
        await fetch(f"{web.address}/drip", max_bytes=10**12)


async def test_a_document_with_another_digest_is_broken(web: Web) -> None:
    web.pages["/x"] = (200, {}, b"<html>Sign in</html>")
    with pytest.raises(BrokenResultError, match="SHA-256"):
        await fetch(f"{web.address}/x")
    with pytest.raises(BrokenResultError, match="not a PDF"):
        await fetch(f"{web.address}/x", sha256=hashlib.sha256(b"<html>Sign in</html>").hexdigest())


@pytest.mark.parametrize("url", ["", "x.pdf", "ftp://x/x.pdf", "javascript:1", "http://[::1", "http://", "http://a:b/"])
async def test_an_address_that_can_not_be_fetched_is_broken(url: str) -> None:
    with pytest.raises((BrokenResultError, UnavailableError)):
        await fetch(url)


# -- files


async def test_a_file_link_is_read_from_the_configured_folder(tmp_path: Path) -> None:
    address = DirectoryStore(tmp_path, "").put(PDF, DIGEST)
    assert await fetch(address, tmp_path) == PDF
    # The service may see the folder under another path, for example in a container.
    assert await fetch(f"file:///elsewhere/{DIGEST}.pdf", tmp_path) == PDF


async def test_a_file_link_without_a_folder_is_left_for_later(tmp_path: Path) -> None:
    address = DirectoryStore(tmp_path, "").put(PDF, DIGEST)
    with pytest.raises(UnavailableError, match="DOCUMENT_STORE"):
        await fetch(address)


async def test_no_other_file_is_read(tmp_path: Path) -> None:
    """Not even one whose digest the result names."""
    store, secret = tmp_path / "store", tmp_path / "secret.pdf"
    store.mkdir()
    secret.write_bytes(PDF)
    for url in (secret.as_uri(), f"file://{store}/../secret.pdf", "file:///etc/passwd", f"file://{store}"):
        with pytest.raises(BrokenResultError, match="allowed for a file"):
            await fetch(url, store)
    with pytest.raises(UnavailableError):
        await fetch(f"file://{tmp_path}/{DIGEST}.pdf", store)


async def test_a_file_that_is_none_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / f"{DIGEST}.pdf"
    with pytest.raises(UnavailableError, match="No such file"):
        await fetch(path.as_uri(), tmp_path)
    os.mkfifo(path)
    with pytest.raises(UnavailableError, match="not a regular file"):
        await fetch(path.as_uri(), tmp_path)
    path.unlink()
    path.write_bytes(PDF + b"x" * 2000)
    with pytest.raises(UnavailableError, match="allowed: 1000"):
        await fetch(path.as_uri(), tmp_path)


async def test_a_document_may_have_the_limit_of_bytes(web: Web, tmp_path: Path) -> None:
    web.pages["/x"] = (200, {}, PDF)
    path = tmp_path / f"{DIGEST}.pdf"
    path.write_bytes(PDF)
    for url in (f"{web.address}/x", path.as_uri()):
        assert await fetch(url, tmp_path, max_bytes=len(PDF)) == PDF
        with pytest.raises(UnavailableError):
            await fetch(url, tmp_path, max_bytes=len(PDF) - 1)


class SlowServer(LoopTransport):
    """Redirects a number of times; each response takes `seconds` of a clock of its own."""

    def __init__(self, redirects: int, seconds: float) -> None:
        super().__init__()
        self.redirects = redirects
        self.seconds = seconds
        self.time = 1000.0
        self.limits: list[tuple[float, float, int]] = []  # s for a part, s for the whole response, bytes

    def now(self) -> float:
        return self.time

    async def send(self, request: httpx.Request, *, seconds: float, limit: int) -> httpx.Response:
        self.limits.append((request.extensions["timeout"]["read"], seconds, limit))
        self.time += self.seconds
        if len(self.limits) <= self.redirects:
            return httpx.Response(302, headers={"Location": "http://elsewhere/"})
        return httpx.Response(200, content=PDF)


async def test_a_document_has_a_minute_with_all_redirects_and_20_s_for_each_part_of_a_response() -> None:
    server = SlowServer(redirects=2, seconds=15.0)
    fetching = Links(server, None)
    try:
        assert await fetching.fetch(link("http://queue/x.pdf")) == PDF
    finally:
        await fetching.aclose()
    assert server.limits == [(20.0, 60.0 - 15.0 * number, 256 * 2**20) for number in range(3)]
