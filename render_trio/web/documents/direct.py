"""Documents rendered while the client waits, without the queue: GET /resources/<slug>.pdf?… and POST /render."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
from quart import Blueprint, Response, request

from render_trio.errors import RenderTrioError
from render_trio.queue.messages import TASK_KIND
from render_trio.rendering.fingerprint import etag
from render_trio.rendering.on_demand import OnDemandRenderer
from render_trio.web.addresses import address
from render_trio.web.documents import query_string
from render_trio.web.documents.query_string import resource_of
from render_trio.web.openapi.operation import JSON, PDF, describe
from render_trio.web.problems import not_drawn, refusal
from render_trio.web.responses import REVALIDATED, cache_of, disposition, empty_response, see_other, wants_page
from resources.parsing import RequestError, parse_request
from resources.registry import CATALOGUE
from resources.request import Request


def routes(on_demand: OnDemandRenderer) -> Blueprint:
    """Return the routes for rendering on demand."""
    part = Blueprint("direct", __name__)

    @part.get("/resources/<slug>.pdf")
    @describe(
        "A document; with `download`, as an attachment",
        {200: {PDF: ""}, 304: {}, 404: {}},
        problems=(400, 429, 500, 503),
        query="Options",
    )
    async def document(slug: str) -> Response:
        resource = resource_of(slug)
        try:
            values = query_string.given_values(request.args, service_keys=("download",))
            document_request = query_string.parse_values(resource, values)
        except RequestError as error:
            if wants_page():  # the form shows the error next to the field
                return see_other(address(f"/resources/{slug}", urlencode(list(request.args.items(multi=True)))))
            return refusal(error)
        attached = request.args.get("download") not in (None, "", "0", "no")
        return await _document(on_demand, document_request, attached=attached)

    @part.post("/render")
    @describe(
        "A document; options that are missing take their defaults",
        {200: {PDF: ""}},
        problems=(400, 401, 413, 429, 500, 503),
        body={JSON: "RenderOrder"},
    )
    async def render() -> Response:
        try:
            document_request = _parse_task(await request.get_data())
        except RequestError as error:
            return refusal(error)
        return await _document(on_demand, document_request, attached=False)

    return part


async def _document(on_demand: OnDemandRenderer, document_request: Request, *, attached: bool) -> Response:
    """Return the document, 304, or the error. Neither a 304 nor a response to HEAD renders anything."""
    name = etag(document_request)
    filename = CATALOGUE[document_request.view].filename(document_request)
    headers = {
        "ETag": f'"{name}"',
        "Cache-Control": cache_of(document_request, REVALIDATED),
        "Content-Disposition": disposition(filename, attached=attached),
    }
    if request.method in ("GET", "HEAD"):
        if request.if_none_match.contains(name):
            return empty_response(headers, PDF, 304)
        if request.method == "HEAD":
            return empty_response(headers, PDF)
    try:
        document = await on_demand.document(document_request)
    except RenderTrioError as error:
        return await not_drawn(error)
    headers["X-Page-Count"] = str(document.pages)
    return Response(document.pdf, 200, headers, content_type=PDF)


def _parse_task(body: str | bytes) -> Request:
    """Return the request of a render task. Missing options take their defaults.

    `reply_tag` and `traceparent` are ignored.

    Raises RequestError.
    """
    try:
        values = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("not_json", f"the body is not JSON: {error}", "") from None
    if not isinstance(values, dict):
        raise RequestError("not_an_object", "the body is not a JSON object", "")
    kind = values.pop("kind", TASK_KIND)
    if kind != TASK_KIND:
        raise RequestError("unknown_kind", f"kind is {str(kind)[:40]!r}; allowed: {TASK_KIND!r}", "kind")
    for key in ("reply_tag", "traceparent"):
        values.pop(key, None)
    return parse_request(values, default_seed=query_string.DEFAULT_SEED, fill_defaults=True)
