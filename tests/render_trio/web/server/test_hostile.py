"""Texts that mean harm: never unescaped in a page, never as they are in a header, never in a path."""

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
    """Ask for exactly this target, which a client would tidy up; return head and body."""
    parts = urlsplit(str(site.client.base_url))
    async with await trio.open_tcp_stream(str(parts.hostname), int(parts.port or 0)) as stream:
        request = f"GET {target} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        await stream.send_all(request.encode("latin-1"))
        answer = b"".join([chunk async for chunk in stream])
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.decode("latin-1"), body.decode("utf-8", "replace")


def assert_harmless(head: str, body: str) -> None:
    """What is told may hold the text, but not as markup, and not as a header line of its own."""
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
async def test_no_text_gets_out_of_a_page_or_into_a_header(site: Site, text: str) -> None:
    spelt = quote(text, safe="%" if text.startswith("%") else "")
    targets = [f"/?q={spelt}", f"/resources/number-hunt?{spelt}=1"]
    for key in KEYS:
        for path in ("/resources/number-hunt", "/resources/number-hunt.pdf", "/resources/number-hunt/preview"):
            targets.append(f"{path}?{key}={spelt}")
    async with trio.open_nursery() as nursery:

        async def check(target: str, accept: str) -> None:
            assert_harmless(*await raw(site, target, accept))

        for target in targets:
            nursery.start_soon(check, target, PAGE)
            nursery.start_soon(check, target, "*/*")


async def test_a_script_for_a_header_is_drawn_as_text_and_shown_as_text(site: Site) -> None:
    spelt = quote(SCRIPT, safe="")
    page = (await site.get(f"/resources/grid?header_text={spelt}", Accept=PAGE)).text
    assert 'value="&lt;script&gt;alert(1)&lt;/script&gt;"' in page
    document = await site.get(f"/resources/grid.pdf?header_text={spelt}&resource_name={quote('Grid <b>;%0d')}")
    assert document.status_code == 200
    assert "<" not in document.headers["Content-Disposition"]


@pytest.mark.parametrize("target", PATHS)
async def test_no_path_leads_out_of_what_is_served(site: Site, target: str) -> None:
    head, body = await raw(site, target)
    assert head.split()[1] in ("404", "400", "308")
    assert_harmless(head, body)


async def test_everything_that_is_served_as_a_file_lies_in_its_folder(site: Site) -> None:
    for path in (ROOT / "static" / "web").iterdir():
        assert (await site.get(f"/static/{path.name}")).content == path.read_bytes()
    assert (await site.get("/static/gallery.png")).status_code == 404


async def test_any_query_is_answered(site: Site) -> None:
    """A few hundred of them, by the same site: a failure would be a 500."""
    queries: list[str] = []
    names = st.sampled_from([*KEYS, "prefilled_values", "new_numbers", "v", "q", ""]) | st.text(max_size=8)

    @settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(names, st.text(max_size=30)), max_size=4))
    def gather(pairs: list[tuple[str, str]]) -> None:
        clean = [(a.encode(errors="ignore").decode(), b.encode(errors="ignore").decode()) for a, b in pairs]
        queries.append("&".join(f"{quote(name)}={quote(value)}" for name, value in clean))

    gather()
    for index, asked in enumerate(queries):
        slug = list(CATALOGUE.values())[index % len(CATALOGUE)].slug
        for path in (f"/resources/{slug}", f"/resources/{slug}/preview"):
            response = await site.get(f"{path}?{asked}", Accept=PAGE if index % 2 else "*/*")
            assert response.status_code in (200, 303, 400), (path, asked)
