"""Teachers' pages don't link to the pages for operators, which link to each other."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from tests.render_trio.web.operated import Site, get, running

PAGE = {"Accept": "text/html"}
LINK = re.compile(r'(?:href|action|formaction)="(/[^"?#]*)')
FOR_OPERATORS = {"/status", "/health", "/metrics", "/version", "/openapi.json", "/status/restart"}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running(Site(token="a-token")) as site:
        yield site


@pytest.mark.parametrize("path", ["/", "/resources/grid", "/nowhere", "/tasks/none", "/resources/grid?copies=x"])
async def test_a_page_for_teachers_has_no_link_for_operators(site: Site, path: str) -> None:
    links = set(LINK.findall((await get(site, path, **PAGE)).text))
    assert "/" in links
    assert not links & FOR_OPERATORS


@pytest.mark.parametrize("path", ["/status", "/health"])
async def test_a_page_for_operators_links_only_to_routes_for_operators(site: Site, path: str) -> None:
    links = {link for link in LINK.findall((await get(site, path, **PAGE)).text) if not link.startswith("/static/")}
    assert {"/status", "/health", "/metrics", "/version"} <= links <= FOR_OPERATORS
    for link in links - {"/status/restart"}:
        assert (await get(site, link)).status_code == 200
