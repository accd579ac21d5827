"""The first page: every resource with a picture of its own first page, and a search."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from quart import Blueprint, Response, render_template, request

from render_trio.errors import RenderTrioError
from render_trio.rendering.fingerprint import fingerprint
from render_trio.rendering.on_demand import OnDemandRenderer
from render_trio.web.documents import query_string
from render_trio.web.documents.direct import not_drawn, resource_of
from render_trio.web.responses import FOR_EVER, REVALIDATED, Packed, packed, packed_reply
from resources.drawing.paper import PAPERS
from resources.options import Choice
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

PIXELS = 264  # of a thumbnail's longer side
SEARCH_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource as the gallery shows it. `words` are what a search looks in; sizes in pixels."""

    name: str
    slug: str
    summary: str
    words: str
    picture: str
    width: int
    height: int


def folded(text: str) -> str:
    """Return the text as it is searched: small letters without accents. The script folds in the same way."""
    parts = unicodedata.normalize("NFD", text)
    return "".join(part for part in parts if not unicodedata.combining(part)).lower()


def entry_of(resource: Resource) -> Entry:
    """Return the resource's entry."""
    words = [resource.name, resource.view.replace("_", " "), resource.summary]
    for option in resource.options:
        words.append(option.label)
        if isinstance(option, Choice):
            words.extend(option.values.values())
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


def found(entries: tuple[Entry, ...], sought: str) -> set[str]:
    """Return the slugs of the entries that hold every word that is sought."""
    words = folded(sought).split()
    return {entry.slug for entry in entries if all(word in entry.words for word in words)}


def pictured(resource: Resource) -> Request:
    """Return the request whose first page stands for the resource."""
    return query_string.checked(
        resource, {name: query_string.spelt(value) for name, value in resource.showcase.items()}
    )


def routes(on_demand: OnDemandRenderer) -> Blueprint:
    """Return the routes of the gallery."""
    part = Blueprint("gallery", __name__)
    entries = tuple(entry_of(resource) for resource in sorted(CATALOGUE.values(), key=lambda resource: resource.name))
    whole: list[Packed] = []  # the page without a search, which is what nearly everybody asks for
    thumbnails: dict[str, Packed] = {}

    async def page_for(sought: str) -> Packed:
        slugs = found(entries, sought)
        html = await render_template("index.html", entries=entries, found=slugs, sought=sought)
        return packed(html.encode(), "text/html; charset=utf-8")

    @part.get("/")
    async def index() -> Response:
        sought = request.args.get("q", "")[:SEARCH_CHARACTERS].strip()
        if sought:
            return packed_reply(await page_for(sought), REVALIDATED)
        if not whole:
            whole.append(await page_for(""))
        return packed_reply(whole[0], REVALIDATED)

    @part.get("/thumbnails/<slug>.png")
    async def thumbnail(slug: str) -> Response:
        resource = resource_of(slug)
        if slug not in thumbnails:
            try:
                picture = await on_demand.page(pictured(resource), 1, PIXELS, patient=True)
            except RenderTrioError as error:
                return await not_drawn(error)
            thumbnails[slug] = packed(picture, "image/png")
        return packed_reply(
            thumbnails[slug], FOR_EVER if request.args.get("v") == fingerprint(resource.view) else REVALIDATED
        )

    return part
