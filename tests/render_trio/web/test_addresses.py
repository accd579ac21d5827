"""Every address that the web side sends begins with the path under which a proxy serves it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trio

from emulator.server.serving import serve as serve_queue
from emulator.settings import EmulatorSettings
from render_trio.queue.identity import web_result_id
from render_trio.queue.messages import encode_result, failure
from render_trio.queue.producer import task_values
from render_trio.web.server.request_limits import Asgi, Message, Receive, Send
from resources.registry import CATALOGUE
from tests.render_trio.web.operated import Site, running
from tests.render_trio.web.server.listening import listening

ROOT = "/print/room-1.2"
ATTRIBUTES = re.compile(r'\s(?:href|src|action|formaction|data-events|data-address|poster|srcset)="([^"#][^"]*)"')
BROWSER = {"Accept": "text/html"}


def under_root(app: Asgi) -> Asgi:
    """Return the application as a proxy that serves it under ROOT would call it."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        await app({**scope, "root_path": ROOT}, receive, send)

    return serve


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with trio.open_nursery() as nursery:
        settings = EmulatorSettings(port=0, store=f"sqlite:///{tmp_path / 'queue.sqlite3'}")
        queue = await nursery.start(serve_queue, settings)
        async with running(Site(queue, token="0123456789abcdef"), wrap=under_root) as site:
            yield site
        nursery.cancel_scope.cancel()


@pytest.fixture
async def client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False, timeout=60) as client:
        yield client


def assert_inside(address: str) -> None:
    parts = urlsplit(address)
    assert parts.path == ROOT or parts.path.startswith(f"{ROOT}/"), address
    assert parts.path.count("print") == 1, address


def addresses_in(html: str) -> list[str]:
    """Return the addresses in a page's attributes, but those of other sites."""
    return [found for found in ATTRIBUTES.findall(html) if not found.startswith(("http", "data:"))]


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text in JSON."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(inner)


async def submitted(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/tasks", json={"kind": "task#render", **task_values("parity_cards", {})[1]})


async def test_every_page(site: Site, client: httpx.AsyncClient) -> None:
    queued = (await submitted(client)).json()["id"]
    failed = (await submitted(client)).json()["id"]
    await site.queue.insert(web_result_id(failed), encode_result(failure(None, "broken", "it broke")), "web-result")
    slugs = [resource.slug for resource in CATALOGUE.values()]
    tasks = [f"/tasks/{task}" for task in (queued, failed, "unknown")]
    for path in (
        "/",
        "/?q=nothing+matches",
        "/status",
        "/health",
        "/no",
        *tasks,
        *(f"/resources/{slug}" for slug in slugs),
    ):
        page = await client.get(path, headers=BROWSER)
        assert "text/html" in page.headers["Content-Type"], path
        found = addresses_in(page.text)
        assert len(found) >= 4, path
        for address in found:
            assert_inside(address)


async def test_every_redirect(client: httpx.AsyncClient) -> None:
    form = {"paper_size": "a4"}
    responses = [
        await client.post("/resources/parity-cards/tasks", data=form),
        await client.post("/resources/parity-cards/tasks", data={"paper_size": "x"}, headers=BROWSER),
        await client.get("/resources/parity-cards?paper_size=a4", headers=BROWSER),
        await client.get("/resources/parity-cards.pdf?paper_size=x", headers=BROWSER),
        await client.post("/status/restart", data={"worker": "worker-1", "token": "0123456789abcdef"}),
        await submitted(client),
        await client.get("/resources//parity-cards"),
    ]
    assert [response.status_code for response in responses] == [303, 303, 303, 303, 303, 202, 308]
    for response in responses:
        assert_inside(response.headers["Location"])


async def test_json_and_the_openapi_document(client: httpx.AsyncClient) -> None:
    assert_inside((await submitted(client)).json()["url"])
    preview = (await client.get("/resources/parity-cards/preview")).json()
    for sheet in preview["sheets"]:
        assert_inside(sheet["address"])
    openapi = (await client.get("/openapi.json")).json()
    assert [server["url"] for server in openapi["servers"]] == [ROOT]


async def test_events(site: Site, client: httpx.AsyncClient) -> None:
    task_id = (await submitted(client)).json()["id"]
    async with listening(site.address, f"/tasks/{task_id}/events") as listener:
        state = re.search("data: (.*)", await listener.until("\n\nevent: page"))
    assert state is not None
    assert_inside(json.loads(state[1])["url"])


async def test_a_page_that_is_kept_is_not_served_under_another_root() -> None:
    roots = iter(["/one", "/two", "", "/one"])

    def next_root(app: Asgi) -> Asgi:
        async def serve(scope: Message, receive: Receive, send: Send) -> None:
            await app({**scope, "root_path": next(roots)} if scope["type"] == "http" else scope, receive, send)

        return serve

    async with running(Site(), wrap=next_root) as site, httpx.AsyncClient(base_url=site.address) as client:
        for root in ("/one", "/two", "", "/one"):
            assert f'action="{root}/"' in (await client.get("/")).text


def test_scripts_contain_no_address_of_their_own() -> None:
    """They have all addresses from the page."""
    scripts = Path(__file__).parents[3] / "static" / "web"
    for script in scripts.glob("*.js"):
        assert not re.search(r"""["'`]/[a-z]""", script.read_text()), script
