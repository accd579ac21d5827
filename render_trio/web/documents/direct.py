"""Documents at once, without the queue: GET /resources/<slug>.pdf?… for people, POST /render for programs."""

from __future__ import annotations

import secrets
from urllib.parse import quote, urlencode

import msgspec
from quart import Blueprint, Response, abort, render_template, request

from render_trio.errors import BusyError, FatalError, RenderTrioError
from render_trio.queue.messages import TASK_KIND
from render_trio.rendering.fingerprint import etag
from render_trio.rendering.on_demand import OnDemandRenderer
from render_trio.web.documents import query_string
from render_trio.web.problems import problem, refusal
from render_trio.web.responses import NOT_KEPT, REVALIDATED, bodiless, page_reply, wants_page
from resources.parsing import RequestError, parse_request
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

FATAL_PAUSE = 30  # s until a service that must be started anew may be back
SEED_BYTES = 4


def routes(on_demand: OnDemandRenderer) -> Blueprint:
    """Return the routes of direct rendering."""
    part = Blueprint("direct", __name__)

    @part.get("/resources/<slug>.pdf")
    async def document(slug: str) -> Response:
        resource = resource_of(slug)
        try:
            values = query_string.given_values(request.args, service_keys=("download",))
            asked = query_string.checked(resource, values)
        except RequestError as error:
            if wants_page():  # the form tells the error beside its field
                return see_other(f"/resources/{slug}?{urlencode(list(request.args.items(multi=True)))}")
            return refusal(error)
        return await _document(on_demand, asked, attached=request.args.get("download") not in (None, "", "0", "no"))

    @part.post("/render")
    async def render() -> Response:
        try:
            asked = _task(await request.get_data())
        except RequestError as error:
            return refusal(error)
        return await _document(on_demand, asked, attached=False)

    return part


def resource_of(slug: str) -> Resource:
    """Return the resource of the address, or answer that there is none."""
    resource = CATALOGUE.get(slug.replace("-", "_"))
    if resource is None or resource.slug != slug:
        abort(404)
    return resource


def see_other(address: str) -> Response:
    """Return a redirection that nobody keeps."""
    return Response(b"", 303, {"Location": address, "Cache-Control": NOT_KEPT})


def new_seed() -> str:
    """Return a seed that nobody had."""
    return str(int.from_bytes(secrets.token_bytes(SEED_BYTES), "big"))


def disposition(filename: str, *, attached: bool) -> str:
    """Return the Content-Disposition (RFC 6266): the name in ASCII, and in UTF-8 for who knows it (RFC 8187).

    Nothing of the name but letters, digits, spaces and - . _ ( ) stands there as it is.
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " -._()") else "_" for c in filename)
    kind = "attachment" if attached else "inline"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"


async def _document(on_demand: OnDemandRenderer, asked: Request, *, attached: bool) -> Response:
    """Return the document, 304 for who has it, or what is in the way. Neither 304 nor HEAD draws anything."""
    name = etag(asked)
    headers = {
        "ETag": f'"{name}"',
        "Cache-Control": REVALIDATED,
        "Content-Disposition": disposition(CATALOGUE[asked.view].filename(asked), attached=attached),
    }
    if request.method in ("GET", "HEAD"):
        if request.if_none_match.contains(name):
            return bodiless(headers, "application/pdf", 304)
        if request.method == "HEAD":
            return bodiless(headers, "application/pdf")
    try:
        document = await on_demand.document(asked)
    except RenderTrioError as error:
        return await not_drawn(error)
    headers["X-Page-Count"] = str(document.pages)
    return Response(document.pdf, 200, headers, content_type="application/pdf")


async def not_drawn(error: RenderTrioError) -> Response:
    """Return the reply to an order that failed: 503 when it helps to come again, else 500."""
    pause = None
    if isinstance(error, BusyError):
        pause = error.retry_after
    elif isinstance(error, FatalError):
        pause = FATAL_PAUSE
    status = 500 if pause is None else 503
    if wants_page():
        reply = page_reply(await render_template("not_drawn.html", pause=pause), status)
        if pause is not None:
            reply.headers["Retry-After"] = str(pause)
        return reply
    return problem(status, error.code, str(error), retry_after=pause)


def _task(body: str | bytes) -> Request:
    """Return the request of a render task; options may be missing, and `reply_tag` has nothing to say here.

    Raises RequestError.
    """
    try:
        values = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("not_json", f"the body is not JSON: {error}", "") from None
    if not isinstance(values, dict):
        raise RequestError("not_an_object", "the body is no JSON object", "")
    kind = values.pop("kind", TASK_KIND)
    if kind != TASK_KIND:
        raise RequestError("unknown_kind", f"kind is {str(kind)[:40]!r}; allowed: {TASK_KIND!r}", "kind")
    values.pop("reply_tag", None)
    return parse_request(values, default_seed=query_string.DEFAULT_SEED, fill_defaults=True)
