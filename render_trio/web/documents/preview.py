"""The pages of a document as pictures: the list of them as JSON for the script, each as a PNG."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from quart import Blueprint, Response, abort, request

from render_trio.errors import RenderTrioError
from render_trio.rendering.fingerprint import etag, fingerprint
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.on_demand import OnDemandRenderer, one_copy
from render_trio.web.documents import query_string
from render_trio.web.documents.direct import not_drawn, resource_of
from render_trio.web.documents.form import form_of
from render_trio.web.problems import refusal
from render_trio.web.responses import FOR_EVER, REVALIDATED, bodiless, json_reply
from resources.parsing import PAPER_SIZE, RequestError
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

PIXELS = 1100  # of a page's longer side: sharp in half a window, or on the whole of a phone


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page's picture: where it is, and how large, so that nothing moves when it arrives."""

    address: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a page shows of a document. `told` is how many pages it has, in words; `varies`: it has random numbers, so
    another seed gives another one.
    """

    query: str
    filename: str
    page_count: int
    told: str
    varies: bool
    sheets: tuple[Sheet, ...]


def preview_of(asked: Request, document: FinishedDocument | None) -> Preview:
    """Return the preview: the pages of the first copy. Not drawn yet, it may vary for all we know."""
    resource = CATALOGUE[asked.view]
    spelt, slug, paper = query_string.canonical(asked), resource.slug, resource.paper(asked)
    scale = PIXELS / max(paper.width, paper.height)
    size = round(paper.width * scale), round(paper.height * scale)
    # Copies change no page: their pictures are the same.
    pictured = query_string.canonical(one_copy(asked))
    sheets = tuple(
        Sheet(
            query_string.address(f"/resources/{slug}/pages/{number}.png", pictured, v=fingerprint(resource.view)), *size
        )
        for number in range(1, resource.pages(asked.choices) + 1)
    )
    varies = document is None or document.varies
    return Preview(spelt, resource.filename(asked), resource.page_count(asked), _told(resource, asked), varies, sheets)


def _told(resource: Resource, asked: Request) -> str:
    each, size = resource.pages(asked.choices), asked.paper_size
    pages = f"{each} page{'' if each == 1 else 's'} of {PAPER_SIZE.values[size]} paper"
    return pages if asked.copies == 1 else f"{asked.copies} copies of {pages}: {resource.page_count(asked)} in all"


def routes(on_demand: OnDemandRenderer) -> Blueprint:
    """Return the routes of previews."""
    part = Blueprint("preview", __name__)

    @part.get("/resources/<slug>/preview")
    async def preview(slug: str) -> Response:
        """Tell what the form means. A wrong value is no failure here: it is told, and the rest is shown."""
        resource = resource_of(slug)
        try:
            form = form_of(resource, query_string.given_values(request.args))
        except RequestError as error:
            return refusal(error)
        try:
            document = await on_demand.document(one_copy(form.request))
        except RenderTrioError as error:
            return await not_drawn(error)
        shown: dict[str, object] = msgspec.to_builtins(preview_of(form.request, document))
        beside = {field.name: field.error for field in (*form.own, *form.common) if field.error}
        return json_reply({**shown, "errors": beside, "notices": form.errors})

    @part.get("/resources/<slug>/pages/<int:number>.png")
    async def page(slug: str, number: int) -> Response:
        resource = resource_of(slug)
        try:
            asked = one_copy(
                query_string.checked(resource, query_string.given_values(request.args, service_keys=("v",)))
            )
        except RequestError as error:
            return refusal(error)
        if not 1 <= number <= resource.page_count(asked):
            abort(404)
        name = f"{etag(asked)}-{number}"
        kept = FOR_EVER if request.args.get("v") == fingerprint(resource.view) else REVALIDATED
        headers = {"ETag": f'"{name}"', "Cache-Control": kept}
        if request.if_none_match.contains(name):
            return bodiless(headers, "image/png", 304)
        if request.method == "HEAD":
            return bodiless(headers, "image/png")
        try:
            return Response(await on_demand.page(asked, number, PIXELS), 200, headers, content_type="image/png")
        except RenderTrioError as error:
            return await not_drawn(error)

    return part
