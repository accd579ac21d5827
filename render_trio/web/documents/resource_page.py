"""A resource's page: its form, a preview of the document, and the buttons to print, download or queue it."""

from __future__ import annotations

from quart import Blueprint, Response, render_template, request

from render_trio.errors import RenderTrioError
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.on_demand import OnDemandRenderer, one_copy
from render_trio.web.addresses import address
from render_trio.web.documents import query_string
from render_trio.web.documents.form import form_of
from render_trio.web.documents.preview import preview_of
from render_trio.web.documents.query_string import NEW_NUMBERS, SERVICE_KEYS, new_seed, resource_of
from render_trio.web.documents.wording import query_in_words
from render_trio.web.openapi.operation import HTML, describe
from render_trio.web.responses import REVALIDATED, cache_of, page_response, see_other
from resources.parsing import RequestError
from resources.request import Request


def routes(on_demand: OnDemandRenderer) -> Blueprint:
    """Return the route of the resources' pages."""
    part = Blueprint("resource_page", __name__)

    @part.get("/resources/<slug>")
    @describe(
        "A resource's form, filled in from the query string",
        {200: {HTML: ""}, 303: {}, 400: {HTML: ""}, 404: {}},
        query="Options",
    )
    async def resource_page(slug: str) -> Response:
        resource = resource_of(slug)
        try:
            values, query_error = query_string.given_values(request.args, service_keys=SERVICE_KEYS), ""
        except RequestError as error:
            values, query_error = {}, query_in_words(resource, error)
        if NEW_NUMBERS in request.args:
            values["seed"] = new_seed()
        form = form_of(resource, values)
        valid = form.valid and not query_error
        canonical = query_string.canonical(form.request)
        if valid and request.query_string.decode("latin-1") != canonical:
            # People share what the address bar shows: keep it as short as possible.
            return see_other(address(f"/resources/{slug}", canonical))
        preview = preview_of(form.request, await _rendered(on_demand, form.request))
        errors = (*form.errors, query_error) if query_error else form.errors
        page = await render_template("resource.html", resource=resource, form=form, preview=preview, errors=errors)
        return page_response(page, 200 if valid else 400, cache_of(form.request, REVALIDATED))

    return part


async def _rendered(on_demand: OnDemandRenderer, document_request: Request) -> FinishedDocument | None:
    """Return the document, or None if it can't be rendered: the page works without it, and its images will fail."""
    try:
        return await on_demand.document(one_copy(document_request))
    except RenderTrioError:
        return None
