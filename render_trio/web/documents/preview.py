"""A document's pages as images: a list of them as JSON for the page's script, and each page as a PNG."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from quart import Blueprint, Response, abort, request

from render_trio.errors import RenderTrioError
from render_trio.rendering.fingerprint import etag, fingerprint
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.on_demand import OnDemandRenderer, one_copy
from render_trio.web.addresses import address
from render_trio.web.documents import query_string
from render_trio.web.documents.form import form_of
from render_trio.web.documents.query_string import resource_of
from render_trio.web.openapi.operation import JSON, PNG, describe
from render_trio.web.problems import not_drawn, refusal
from render_trio.web.responses import FOR_EVER, REVALIDATED, cache_of, empty_response, json_response
from resources.parsing import PAPER_SIZE, RequestError
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

PIXELS = 1100  # of a page's longer side: sharp at half a window's width, or on a whole phone screen
FULL_PIXELS = 2480  # of a page that a browser prints as part of the web page: 210 dpi on A4
FULL = "full_size"  # the key that requests this size


@dataclass(frozen=True, slots=True)
class PagePreview:
    """The image of a page: its address, and its size in pixels so that the layout doesn't shift when it arrives.

    `full` is the address of a larger image, for paper.
    """

    address: str
    width: int
    height: int
    full: str


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview of a document.

    `length` describes the number of pages in words. `varies`: the document has random numbers, so another seed yields
    another document. `paper`: its size and orientation, such as "a4-portrait".
    """

    query: str
    filename: str
    page_count: int
    length: str
    varies: bool
    paper: str
    pages: tuple[PagePreview, ...]

    def as_json(self) -> dict[str, object]:
        """Return the preview as /resources/<slug>/preview sends it."""
        return {
            "query": self.query,
            "filename": self.filename,
            "page_count": self.page_count,
            "told": self.length,
            "varies": self.varies,
            "paper": self.paper,
            "sheets": msgspec.to_builtins(self.pages),
        }


def preview_of(document_request: Request, document: FinishedDocument | None) -> Preview:
    """Return the preview: the pages of the first copy. Without the document, assume that it varies."""
    resource = CATALOGUE[document_request.view]
    paper = resource.paper(document_request)
    scale = PIXELS / max(paper.width, paper.height)
    width, height = round(paper.width * scale), round(paper.height * scale)
    # The number of copies changes no page: leave it out of the images' addresses, so that they can be cached.
    page_query = query_string.canonical(one_copy(document_request))
    version = fingerprint(resource.view)
    pages = []
    for number in range(1, resource.pages(document_request.choices) + 1):
        path = f"/resources/{resource.slug}/pages/{number}.png"
        full = address(path, page_query, v=version, **{FULL: "1"})
        pages.append(PagePreview(address(path, page_query, v=version), width, height, full))
    return Preview(
        query_string.canonical(document_request),
        resource.filename(document_request),
        resource.page_count(document_request),
        _length(resource, document_request),
        document is None or document.varies,
        f"{document_request.paper_size}-{resource.orientation}",
        tuple(pages),
    )


def _length(resource: Resource, document_request: Request) -> str:
    """Return the length in words, such as "3 copies, 2 pages each: 6 pages of A4 paper"."""
    count, copies = resource.pages(document_request.choices), document_request.copies
    paper = PAPER_SIZE.values[document_request.paper_size]
    pages = f"{count} page{'' if count == 1 else 's'}"
    if copies == 1:
        return f"{pages} of {paper} paper"
    return f"{copies} copies, {pages} each: {resource.page_count(document_request)} pages of {paper} paper"


def routes(on_demand: OnDemandRenderer) -> Blueprint:
    """Return the routes of previews."""
    part = Blueprint("preview", __name__)

    @part.get("/resources/<slug>/preview")
    @describe(
        "The pages of a document, as addresses of images",
        {200: {JSON: ""}, 404: {}},
        problems=(400, 429, 500, 503),
        query="Options",
    )
    async def preview(slug: str) -> Response:
        """Return the preview for the form's values. Invalid ones are reported in `errors`; defaults replace them."""
        resource = resource_of(slug)
        try:
            form = form_of(resource, query_string.given_values(request.args))
        except RequestError as error:
            return refusal(error)
        try:
            document = await on_demand.document(one_copy(form.request))
        except RenderTrioError as error:
            return await not_drawn(error)
        errors = {field.name: field.error for field in (*form.own, *form.common) if field.error}
        return json_response({**preview_of(form.request, document).as_json(), "errors": errors, "notices": form.errors})

    @part.get("/resources/<slug>/pages/<int:number>.png")
    @describe(
        "The image of a page; with `full_size`, large enough for paper",
        {200: {PNG: ""}, 304: {}, 404: {}},
        problems=(400, 429, 500, 503),
        query="Options",
    )
    async def page(slug: str, number: int) -> Response:
        resource = resource_of(slug)
        try:
            values = query_string.given_values(request.args, service_keys=("v", FULL))
            document_request = one_copy(query_string.parse_values(resource, values))
        except RequestError as error:
            return refusal(error)
        if not 1 <= number <= resource.page_count(document_request):
            abort(404)
        pixels = FULL_PIXELS if FULL in request.args else PIXELS
        name = f"{etag(document_request)}-{number}-{pixels}"
        cache = FOR_EVER if request.args.get("v") == fingerprint(resource.view) else REVALIDATED
        headers = {"ETag": f'"{name}"', "Cache-Control": cache_of(document_request, cache)}
        if request.if_none_match.contains(name):
            return empty_response(headers, PNG, 304)
        if request.method == "HEAD":
            return empty_response(headers, PNG)
        try:
            image = await on_demand.page(document_request, number, pixels)
        except RenderTrioError as error:
            return await not_drawn(error)
        return Response(image, 200, headers, content_type=PNG)

    return part
