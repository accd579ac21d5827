"""Hostile texts: escaped in pages, encoded in headers, never used in a path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.registry import CATALOGUE
from tests.conftest import ROOT
from tests.render_trio.web.site import PAGE, Site, running

SCRIPT = "<script>alert(1)</script>"
TEXTS = {
    "script": SCRIPT,
    "attribute": "\" autofocus onfocus=alert(1) x='",
    "turned": "cards\u202efdp.exe",
    "nul": "a\x00b",
    "line breaks": "x\r\nSet-Cookie: stolen=1\r\n\r\n<b>",
    "long": "x" * 10_000,
    "path": "../../../../etc/passwd",
    "template": "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "surrogate": "%ED%A0%80",
}
KEYS = ("header_text", "resource_name", "seed", "url", "language", "copies", "paper_size", "number_order", "download")
PATHS = (
    "/static/../pyproject.toml",
    "/static/..%2f..%2fpyproject.toml",
    "/static/%2e%2e/%2e%2e/pyproject.toml",
    "/static//etc/passwd",
    "/static/style.css%00.js",
    "/static/..\\..\\pyproject.toml",
    "/resources/..%2f..%2fetc%2fpasswd",
    "/resources/../../etc/passwd.pdf",
    "/resources/%00",
    "/resources/number-hunt%00.pdf",
    "/resources/number-hunt/pages/..%2f1.png",
    "/resources/number-hunt/pages/99999999999999999999.png",
    "/resources/" + "x" * 10_000,
    "/resources/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "/thumbnails/..%2fgrid.png",
)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running() as site:
        yield site


async def raw(site: Site, target: str, accept: str = PAGE) -> tuple[str, str]:
    """Request exactly this target, which an HTTP client would normalise; return head and body."""
    parts = urlsplit(str(site.client.base_url))
    async with await trio.open_tcp_stream(str(parts.hostname), int(parts.port or 0)) as stream:
        request = f"GET {target} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        await stream.send_all(request.encode("latin-1"))
        answer = b"".join([chunk async for chunk in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode("latin-1"), body.decode("utf-8", "replace")


def assert_harmless(head: str, body: str) -> None:
    """The response may contain the text, but neither as markup nor as a header line."""
    assert " 500 " not in head.partition("\r\n")[0]
    assert "\nset-cookie" not in head.lower()
    assert head.isascii()
    if "text/html" in head:
        assert "<script>" not in body
        assert "onfocus=alert(1) x='" not in body
        assert "<b>" not in body
    assert "root:" not in body
    assert "[build-system]" not in body


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_no_text_becomes_markup_or_a_header(site: Site, text: str) -> None:
    encoded = quote(text, safe="%" if text.startswith("%") else "")
    targets = [f"/?q={encoded}", f"/resources/number-hunt?{encoded}=1"]
    for key in KEYS:
        for path in ("/resources/number-hunt", "/resources/number-hunt.pdf", "/resources/number-hunt/preview"):
            targets.append(f"{path}?{key}={encoded}")
    async with trio.open_nursery() as nursery:

        async def check(target: str, accept: str) -> None:
            assert_harmless(*await raw(site, target, accept))

        for target in targets:
            nursery.start_soon(check, target, PAGE)
            nursery.start_soon(check, target, "*/*")


async def test_a_script_as_header_text_is_printed_and_shown_as_text(site: Site) -> None:
    encoded = quote(SCRIPT, safe="")
    page = (await site.get(f"/resources/grid?header_text={encoded}", Accept=PAGE)).text
    assert 'value="&lt;script&gt;alert(1)&lt;/script&gt;"' in page
    document = await site.get(f"/resources/grid.pdf?header_text={encoded}&resource_name={quote('Grid <b>;%0d')}")
    assert document.status_code == 200
    assert "<" not in document.headers["Content-Disposition"]


@pytest.mark.parametrize("target", PATHS)
async def test_no_path_reaches_other_files(site: Site, target: str) -> None:
    head, body = await raw(site, target)
    assert head.split()[1] in ("404", "400", "308")
    assert_harmless(head, body)


async def test_only_the_files_of_the_static_folder_are_served(site: Site) -> None:
    for path in (ROOT / "static" / "web").iterdir():
        assert (await site.get(f"/static/{path.name}")).content == path.read_bytes()
    assert (await site.get("/static/gallery.png")).status_code == 404


async def test_any_query_is_answered_without_an_error(site: Site) -> None:
    """Send a few hundred queries to one site; an uncaught exception would be a 500."""
    queries: list[str] = []
    names = st.sampled_from([*KEYS, "prefilled_values", "new_numbers", "v", "q", ""]) | st.text(max_size=8)

    @settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(names, st.text(max_size=30)), max_size=4))
    def gather(pairs: list[tuple[str, str]]) -> None:
        clean = [(a.encode(errors="ignore").decode(), b.encode(errors="ignore").decode()) for a, b in pairs]
        queries.append("&".join(f"{quote(name)}={quote(value)}" for name, value in clean))

    gather()
    for index, query in enumerate(queries):
        slug = list(CATALOGUE.values())[index % len(CATALOGUE)].slug
        for path in (f"/resources/{slug}", f"/resources/{slug}/preview"):
            response = await site.get(f"{path}?{query}", Accept=PAGE if index % 2 else "*/*")
            assert response.status_code in (200, 303, 400), (path, query)
