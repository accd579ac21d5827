"""On-demand documents: by address for people, by task for programs; limited, and never rendered needlessly."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import AsyncIterator
from email.message import Message
from email.policy import HTTP
from urllib.parse import unquote

import msgspec
import pikepdf
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from render_trio.errors import FatalError, RenderFailedError, RenderTrioError
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.on_demand import OnDemandLimits
from render_trio.rendering.pipeline import produce
from render_trio.web.access import render_quota
from render_trio.web.responses import disposition
from resources.registry import CATALOGUE
from resources.request import Request
from tests.render_trio.web.site import PAGE, Site, running
from tests.requests import request_for

NETWORK = "/resources/sorting-network.pdf"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running() as site:
        yield site


async def test_an_address_yields_the_document(site: Site) -> None:
    response = await site.get(f"{NETWORK}?prefilled_values=medium&copies=3&paper_size=letter&seed=4")
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"].startswith('inline; filename="Sorting Network (10 to 99 - letter)')
    request = request_for("sorting_network", prefilled_values="medium", copies=3, paper_size="letter", seed="4", url="")
    assert response.content == produce(request, lambda: None).pdf
    with pikepdf.open(io.BytesIO(response.content)) as pdf:
        assert len(pdf.pages) == 3
    attached = await site.get(f"{NETWORK}?download=1")
    assert attached.headers["Content-Disposition"].startswith("attachment; ")


async def test_a_cached_document_or_a_head_request_renders_nothing(site: Site) -> None:
    head = await site.client.head(NETWORK)
    assert (head.status_code, head.content) == (200, b"")
    assert "Content-Length" not in head.headers
    unchanged = await site.get(NETWORK, **{"If-None-Match": head.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert site.renderings("document", "drawn") == 0
    assert (await site.get(NETWORK)).headers["ETag"] == head.headers["ETag"]
    for other in ("seed=2", "copies=2", "paper_size=letter", "header_text=x", "prefilled_values=easy"):
        assert (await site.client.head(f"{NETWORK}?{other}")).headers["ETag"] != head.headers["ETag"]


async def test_a_task_yields_its_document(site: Site) -> None:
    task = {"kind": "task#render", "resource_view": "binary_cards", "black_back": True, "reply_tag": "mine"}
    response = await site.client.post("/render", json=task)
    assert response.headers["X-Page-Count"] == "16"
    with pikepdf.open(io.BytesIO(response.content)) as pdf:
        assert len(pdf.pages) == 16


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"{", "not_json", ""),
        (b"\xff", "not_json", ""),
        (b"[1]", "not_an_object", ""),
        (b"[" * 60_000, "not_json", ""),
        (b"{}", "missing_option", "resource_view"),
        (b'{"kind": "task#other", "resource_view": "grid"}', "unknown_kind", "kind"),
        (b'{"resource_view": "../../etc/passwd"}', "unknown_resource", "resource_view"),
        (b'{"resource_view": "grid", "copies": 51}', "invalid_option", "copies"),
        (b'{"resource_view": "grid", "colour": "red"}', "unknown_option", "colour"),
        (b'{"resource_view": "grid", "header_text": "\\u0000"}', "invalid_option", "header_text"),
    ],
)
async def test_an_invalid_task_is_a_problem_with_its_field(site: Site, body: bytes, code: str, field: str) -> None:
    response = await site.client.post("/render", content=body)
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (response.status_code, problem["status"], problem["title"]) == (400, 400, "Bad Request")
    assert (problem["code"], problem["field"]) == (code, field)
    assert len(problem["detail"]) < 1000


async def test_an_invalid_value_redirects_browsers_to_the_form_and_is_a_problem_for_programs(site: Site) -> None:
    refused = await site.get(f"{NETWORK}?copies=99")
    assert (refused.status_code, refused.json()["field"]) == (400, "copies")
    redirected = await site.get(f"{NETWORK}?copies=99&header_text=a%26b&download=1", Accept=PAGE)
    assert redirected.status_code == 303
    assert redirected.headers["Location"] == "/resources/sorting-network?copies=99&header_text=a%26b&download=1"
    assert "Please use a whole number" in (await site.get(redirected.headers["Location"], Accept=PAGE)).text


class Gate:
    """An offload that renders once `opened` is set, or fails with `error`."""

    abandoned = 0

    def __init__(self, error: RenderTrioError | None = None) -> None:
        self.opened = trio.Event()
        self.error = error

    async def make(self, request: Request, seconds: float) -> FinishedDocument:
        if self.error is not None:
            raise self.error
        await self.opened.wait()
        return produce(request, lambda: None)

    def with_capacity(self, workers: int) -> Gate:
        return self


async def test_requests_beyond_the_limit_are_answered_with_retry_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_quota, "CLIENT_SHARE", 1)  # the limit of all clients, not that of one
    gate, answers = Gate(), list[int]()
    async with running(gate, OnDemandLimits(at_once=1, waiting=2, seconds=30, cache_bytes=2**20)) as site:
        one_refused = trio.Event()

        async def ask(number: int) -> None:
            answers.append((await site.get(f"{NETWORK}?seed={number}")).status_code)
            one_refused.set()

        async with trio.open_nursery() as nursery:
            for number in range(4):  # one more than the limits allow
                nursery.start_soon(ask, number)
            await one_refused.wait()
            refused = await site.get(f"{NETWORK}?seed=x")
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) >= 1
            assert refused.json()["code"] == "busy"
            page = await site.get(f"{NETWORK}?seed=y", Accept=PAGE)
            assert (page.status_code, page.headers["Retry-After"].isdigit()) == (503, True)
            assert "Many people are printing right now" in page.text
            # The resource's page itself needs no rendering.
            assert (await site.get("/resources/sorting-network?seed=z", Accept=PAGE)).status_code == 200
            gate.opened.set()
        assert answers == [503, 200, 200, 200]


async def test_a_burst_is_served_or_answered_with_retry_after() -> None:
    answers: Counter[str] = Counter()
    limits = OnDemandLimits(at_once=1, waiting=10, seconds=30, cache_bytes=2**20)
    async with running(limits=limits) as site:

        async def ask(number: int) -> None:
            response = await site.get(f"/resources/grid/preview?header_text={number}")
            answers[f"{response.status_code} {response.headers.get('Retry-After', '').isdigit()}"] += 1

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(ask, number)
            for _ in range(20):
                assert (await site.get("/livez")).status_code == 200
    assert answers.total() == 200
    assert set(answers) == {"200 False", "429 True"}
    assert answers["200 False"] >= 8, "three quarters of 11, the share of one client"


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [(RenderFailedError("secret inside"), 500, None), (FatalError("threads hang"), 503, "30")],
)
async def test_a_failed_rendering_reveals_no_details(error: RenderTrioError, status: int, retry: str | None) -> None:
    async with running(Gate(error)) as site:
        for path in (NETWORK, "/resources/grid/preview", "/resources/grid/pages/1.png", "/thumbnails/grid.png"):
            response = await site.get(path)
            assert (response.status_code, response.headers.get("Retry-After")) == (status, retry)
        page = await site.get(NETWORK, Accept=PAGE)
        assert page.status_code == status
        assert str(error) not in page.text


@given(st.text(max_size=60), st.booleans())
def test_any_file_name_is_safe_in_a_header_and_can_be_decoded(name: str, attached: bool) -> None:
    name = name.encode(errors="ignore").decode()  # a lone surrogate is not text
    header = disposition(name, attached=attached)
    assert header.isascii()
    assert header.isprintable()
    message = Message(HTTP)
    message["Content-Disposition"] = header
    assert message.get_content_disposition() == ("attachment" if attached else "inline")
    assert unquote(header.partition("filename*=UTF-8''")[2]) == name
    assert header.count('"') == 2


async def test_a_problem_has_the_fields_of_the_standard(site: Site) -> None:
    body = (await site.get(f"{NETWORK}?colour=red")).content
    assert set(msgspec.json.decode(body)) == {"type", "title", "status", "detail", "code", "field"}


@pytest.mark.parametrize("view", CATALOGUE)
def test_varies_is_set_if_another_seed_yields_another_document(view: str) -> None:
    shown = {"sorting_network": {"prefilled_values": "hard"}}.get(view, {})
    one, other = (produce(request_for(view, seed=seed, **shown), lambda: None) for seed in ("1", "2"))
    assert one.varies == other.varies == (one.pdf != other.pdf)
