"""The start page: every resource with an image of its first page, and a search."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import assert_never

from quart import Blueprint, Response, render_template, request

from render_trio.errors import RenderTrioError
from render_trio.rendering.fingerprint import fingerprint
from render_trio.rendering.on_demand import OnDemandRenderer
from render_trio.web.addresses import root_path
from render_trio.web.documents import query_string
from render_trio.web.documents.query_string import resource_of
from render_trio.web.openapi.operation import HTML, PNG, describe
from render_trio.web.problems import not_drawn
from render_trio.web.responses import FOR_EVER, REVALIDATED, EncodedBody, encode_body, encoded_response
from resources.drawing.paper import PAPERS
from resources.options import Choice, Digits, Flag, Number
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

PIXELS = 264  # of a thumbnail's longer side
SEARCH_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource in the gallery. `words`: the text that a search looks in; `picture`: a path; sizes in pixels."""

    name: str
    slug: str
    summary: str
    words: str
    picture: str
    width: int
    height: int


def folded(text: str) -> str:
    """Return the text in lower case without accents, for searching. static/web/gallery.js folds in the same way."""
    parts = unicodedata.normalize("NFD", text)
    return "".join(part for part in parts if not unicodedata.combining(part)).lower()


def entry_of(resource: Resource) -> Entry:
    """Return the resource's entry."""
    words = [resource.name, resource.view.replace("_", " "), resource.summary]
    for option in resource.options:
        words.append(option.label)
        match option:
            case Choice():
                words.extend(option.values.values())
            case Flag() | Number() | Digits():
                pass  # values without words
            case _:
                assert_never(option)
    paper = PAPERS["a4"].oriented(resource.orientation)
    scale = PIXELS / max(paper.width, paper.height)
    return Entry(
        resource.name,
        resource.slug,
        resource.summary,
        folded(" ".join(dict.fromkeys(words))),
        f"/thumbnails/{resource.slug}.png?v={fingerprint(resource.view)}",
        round(paper.width * scale),
        round(paper.height * scale),
    )


def matching(entries: tuple[Entry, ...], search: str) -> set[str]:
    """Return the slugs of the entries that contain every word of the search."""
    words = folded(search).split()
    return {entry.slug for entry in entries if all(word in entry.words for word in words)}


def pictured(resource: Resource) -> Request:
    """Return the request whose first page represents the resource."""
    showcase = {name: query_string.value_text(value) for name, value in resource.showcase.items()}
    return query_string.parse_values(resource, showcase)


def routes(on_demand: OnDemandRenderer) -> Blueprint:
    """Return the routes of the gallery."""
    part = Blueprint("gallery", __name__)
    entries = tuple(entry_of(resource) for resource in sorted(CATALOGUE.values(), key=lambda resource: resource.name))
    unfiltered: dict[
        str, EncodedBody
    ] = {}  # by root path: the page without a search, which nearly all requests are for
    thumbnails: dict[str, EncodedBody] = {}

    async def page_for(search: str) -> EncodedBody:
        slugs = matching(entries, search)
        html = await render_template("index.html", entries=entries, found=slugs, search=search)
        return encode_body(html.encode(), "text/html; charset=utf-8")

    @part.get("/")
    @describe("The catalogue", {200: {HTML: ""}})
    async def index() -> Response:
        search = request.args.get("q", "")[:SEARCH_CHARACTERS].strip()
        if search:
            return encoded_response(await page_for(search), REVALIDATED)
        key = root_path()
        if key not in unfiltered:
            unfiltered.clear()  # a single one, so that invented root paths take no memory
            unfiltered[key] = await page_for("")
        return encoded_response(unfiltered[key], REVALIDATED)

    @part.get("/thumbnails/<slug>.png")
    @describe("The image of a resource's first page", {200: {PNG: ""}, 304: {}, 404: {}}, problems=(500, 503))
    async def thumbnail(slug: str) -> Response:
        resource = resource_of(slug)
        if slug not in thumbnails:
            try:
                picture = await on_demand.page(pictured(resource), 1, PIXELS, patient=True)
            except RenderTrioError as error:
                return await not_drawn(error)
            thumbnails[slug] = encode_body(picture, PNG)
        current = request.args.get("v") == fingerprint(resource.view)
        return encoded_response(thumbnails[slug], FOR_EVER if current else REVALIDATED)

    return part
