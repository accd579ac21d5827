"""One resource: its form, a preview that follows it, and the ways to paper."""

from __future__ import annotations

from quart import Blueprint, Response, render_template, request

from render_trio.errors import RenderTrioError
from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.on_demand import OnDemandRenderer, one_copy
from render_trio.web.documents import query_string
from render_trio.web.documents.direct import new_seed, resource_of, see_other
from render_trio.web.documents.form import form_of
from render_trio.web.documents.preview import preview_of
from render_trio.web.responses import page_reply
from resources.parsing import RequestError
from resources.request import Request

NEW_NUMBERS = "new_numbers"  # the key by which the form asks for another seed
SERVICE_KEYS = (NEW_NUMBERS, "download")


def routes(on_demand: OnDemandRenderer) -> Blueprint:
    """Return the route of a resource's page."""
    part = Blueprint("resource_page", __name__)

    @part.get("/resources/<slug>")
    async def resource_page(slug: str) -> Response:
        resource = resource_of(slug)
        try:
            values, twice = query_string.given_values(request.args, service_keys=SERVICE_KEYS), ""
        except RequestError as error:
            values, twice = {}, str(error)
        if NEW_NUMBERS in request.args:
            values["seed"] = new_seed()
        form = form_of(resource, values)
        if form.well and not twice and request.query_string.decode("latin-1") != query_string.canonical(form.request):
            # What stands in the address bar is the link to share: as short as it can be.
            return see_other(query_string.address(f"/resources/{slug}", query_string.canonical(form.request)))
        preview = preview_of(form.request, await _drawn(on_demand, form.request))
        errors = (*form.errors, twice) if twice else form.errors
        status = 200 if form.well and not twice else 400
        page = await render_template("resource.html", resource=resource, form=form, preview=preview, errors=errors)
        return page_reply(page, status)

    return part


async def _drawn(on_demand: OnDemandRenderer, asked: Request) -> FinishedDocument | None:
    """Return the document behind the preview, or None: the page can do without, its pictures will tell."""
    try:
        return await on_demand.document(one_copy(asked))
    except RenderTrioError:
        return None
