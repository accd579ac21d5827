"""Errors that a person sees in a browser are pages; programs get the same status with a problem (RFC 9457)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.render_trio.web.operated import Site, running

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {"Sec-Fetch-Site": "same-origin"}
UNKNOWN = "/tasks/web-" + "0" * 32


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running(Site(token="a-token")) as site:  # its queue is unreachable
        yield site


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "text"),
    [
        ("POST", "/resources/grid/tasks", {"Sec-Fetch-Site": "cross-site"}, 403, "This request was refused."),
        ("POST", "/resources/grid/tasks", FORM, 503, "Please try again in 2 seconds."),
        ("GET", UNKNOWN, {}, 503, "Please try again in 2 seconds."),
        ("GET", f"{UNKNOWN}/document", {}, 503, "Please try again in 2 seconds."),
        ("POST", "/status/restart", {"Sec-Fetch-Site": "cross-site"}, 403, "This request was refused."),
        ("POST", "/", {}, 405, "This request could not be understood."),
        ("GET", "/resources/grid/pages/1.png?copies=x", {}, 400, "This request could not be understood."),
    ],
)
async def test_a_refusal_is_a_page_for_browsers(
    site: Site, method: str, path: str, headers: dict[str, str], status: int, text: str
) -> None:
    async with httpx.AsyncClient(base_url=site.address, trust_env=False) as client:
        page = await client.request(method, path, headers=headers | PAGE)
        problem = await client.request(method, path, headers=headers)
    assert (page.status_code, problem.status_code) == (status, status)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert problem.headers["Content-Type"] == "application/problem+json"
    for name in ("Retry-After", "Allow"):
        assert page.headers.get(name) == problem.headers.get(name)
    assert page.headers["Cache-Control"] == "no-store"
    assert text in page.text
    assert problem.json()["detail"] not in page.text
