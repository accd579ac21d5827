"""The web server with fake workers: probes, error responses, caching and fairness."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from render_trio.supervision.health import Health
from render_trio.web.server.pacing import paced
from render_trio.web.server.request_limits import Message, Receive, Send
from tests.render_trio.web.operated import LIMIT, Site, get, running
from tests.render_trio.web.server.edge import get as get_request
from tests.render_trio.web.server.edge import read_to_end


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running(Site()) as site:
        yield site


@pytest.mark.parametrize("path", ["/health", "/_ah/health"])
async def test_a_service_that_makes_progress_is_healthy(site: Site, path: str) -> None:
    response = await get(site, path)
    assert response.status_code == 200
    assert response.json()["status"] == "ok"
    assert [worker["name"] for worker in response.json()["workers"]] == ["worker-1", "worker-2"]
    assert (await get(site, "/readyz")).json() == {"status": "ok"}


async def test_browsers_get_a_page(site: Site) -> None:
    response = await get(site, "/health", Accept="text/html,*/*;q=0.5")
    assert response.headers["Content-Type"].startswith("text/html")
    assert "worker-1" in response.text
    assert "Binary Cards" in (await get(site, "/")).text
    assert (await get(site, "/static/style.css")).status_code == 200


async def test_a_health_request_restarts_stalled_workers(site: Site) -> None:
    site.supervisor.slots[0].enter("work", 0.0)
    response = await get(site, "/health")
    # Restarted by the request, or a moment earlier by the watchdog.
    assert response.json()["recovered"] in (["worker-1"], [])
    assert response.status_code == 200
    with trio.fail_after(10):
        while site.supervisor.slots[0].restarts == 0:  # noqa: ASYNC110 - real time, a real server
            await trio.sleep(0.01)


async def test_hung_threads_make_the_service_unhealthy(site: Site) -> None:
    site.abandoned = 4
    response = await get(site, "/health")
    assert response.status_code == 503
    assert response.json()["reasons"] == ["4 drawing threads hang"]
    assert (await get(site, "/livez")).status_code == 200


async def test_without_its_queue_the_service_is_alive_but_not_ready(site: Site) -> None:
    for slot in site.supervisor.slots:
        slot.progress("unreachable")
    assert (await get(site, "/readyz")).status_code == 503
    assert (await get(site, "/livez")).status_code == 200


async def test_a_document_store_that_fails_is_named_with_status_200(site: Site) -> None:
    """A restart would not help. The service is ready while it takes tasks whose documents need no store."""
    site.store_problem = "document store: [Errno 28] No space left on device: '/documents'; 2 documents wait"
    response = await get(site, "/health")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["document_store"] == site.store_problem
    assert (await get(site, "/readyz")).json() == {"status": "ok"}
    for path in ("/health", "/status"):
        page = (await get(site, path, Accept="text/html")).text
        assert "[Errno 28] No space left on device" in page
        assert "The service is healthy." not in page
    site.leasing = False
    response = await get(site, "/readyz")
    assert (response.status_code, response.json()) == (503, {"status": site.store_problem})


async def test_a_draining_service_is_not_ready(site: Site) -> None:
    site.supervisor.stop()
    response = await get(site, "/readyz")
    assert (response.status_code, response.json()) == (503, {"status": "draining"})


async def test_the_version_lists_the_libraries_that_documents_depend_on(site: Site) -> None:
    version = (await get(site, "/version")).json()
    assert version["accelerations"]["rl_accel"] is True
    assert version["qpdf"]


async def test_metrics_are_served(site: Site) -> None:
    assert "render_in_flight 0.0" in (await get(site, "/metrics")).text


@pytest.mark.parametrize("path", ["/", "/health", "/nowhere", "/static/../secret"])
async def test_every_response_has_security_headers(site: Site, path: str) -> None:
    response = await get(site, path)
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Traceback" not in response.text


async def test_a_body_that_is_too_large_leaves_the_connection_usable_or_closed(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        for _ in range(3):
            response = await client.post("/health", content=b"x" * (LIMIT * 50))
            assert response.status_code == 413
        assert (await client.get("/livez")).status_code == 200


class FailingSite(Site):
    """A site whose health check raises."""

    def health(self) -> Health:
        raise RuntimeError("a secret")


async def test_an_exception_in_a_page_reveals_no_details() -> None:
    async with running(FailingSite()) as site:
        response = await get(site, "/health")
    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert set(response.json()) == {"type", "title", "status", "code", "detail"}
    assert "content-security-policy" in response.headers


@pytest.mark.parametrize("close", [True, False], ids=["Connection: close", "keep-alive"])
async def test_a_connection_is_closed_after_its_response(close: bool) -> None:
    """Quart cancels its request task once the response is sent, and with it what hypercorn had left to do."""
    async with running(Site(), keep_alive=0.2) as site:
        port = int(site.address.rsplit(":", 1)[1])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(get_request("/livez", close=close))
            with trio.fail_after(30):
                assert b'"alive"' in await read_to_end(stream)


async def test_static_files_are_cached_for_ever_and_compressed(site: Site) -> None:
    page = (await get(site, "/")).text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    style = await get(site, address)
    assert "immutable" in style.headers["Cache-Control"]
    assert style.headers["Content-Encoding"] == "gzip"
    assert (await get(site, address, **{"If-None-Match": style.headers["ETag"]})).status_code == 304
    unversioned = await get(site, "/static/style.css", **{"Accept-Encoding": "identity"})
    assert unversioned.headers["Cache-Control"] == "no-cache"
    assert unversioned.text == style.text


async def test_a_burst_of_requests_starts_one_by_one_and_a_probe_overtakes_it() -> None:
    entered: list[str] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        entered.append(scope["path"])

    async def receive_nothing() -> Message:
        raise AssertionError

    async def send_nothing(message: Message) -> None:
        raise AssertionError

    served = paced(app)
    async with trio.open_nursery() as nursery:
        for path in ["/"] * 50 + ["/health"]:
            nursery.start_soon(served, {"type": "http", "path": path}, receive_nothing, send_nothing)
    assert entered == ["/health"] + ["/"] * 50


async def test_a_burst_of_connections_is_queued_while_the_service_is_busy(site: Site) -> None:
    port = int(site.address.rsplit(":", 1)[1])
    # This test blocks the event loop, so nothing is accepted meanwhile. The client would retry a connection beyond the
    # backlog only after a second.
    connections = [socket.create_connection(("127.0.0.1", port), timeout=0.9) for _ in range(300)]
    for connection in connections:
        connection.close()
