"""The web application: its parts put together, and one answer for every error.

A part is a module here with a function `routes` that takes what the part shows, and returns a blueprint.
"""

from __future__ import annotations

import structlog
from quart import Blueprint, Response, render_template, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from render_trio.rendering.on_demand import OnDemandRenderer
from render_trio.web import static_files
from render_trio.web.documents import direct, gallery, preview, resource_page
from render_trio.web.openapi import document
from render_trio.web.operations import probes
from render_trio.web.operations.probes import Probes
from render_trio.web.responses import page_reply, wants_page
from resources.content import assets

log = structlog.get_logger(__name__)


def create_app(probed: Probes, on_demand: OnDemandRenderer, *operated: Blueprint) -> QuartTrio:
    """Return the application; `operated` are the parts that need a running service: its status, its queue."""
    app = QuartTrio("render_trio", static_folder=None, template_folder=str(assets.template_directory() / "web"))
    shown = static_files.read(assets.static_directory() / "web")
    app.jinja_env.globals["asset"] = shown.address
    app.register_blueprint(shown.routes())
    app.register_blueprint(probes.routes(probed))
    for part in (gallery, resource_page, preview, direct):
        app.register_blueprint(part.routes(on_demand))
    for own in (document.routes(), *operated):
        app.register_blueprint(own)
    _answer_errors(app)
    return app


def _answer_errors(app: QuartTrio) -> None:
    """Give every error a short text, or a page to who reads pages: no traceback, nothing of the inside."""

    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> Response:
        if error.code == 404 and wants_page():
            return page_reply(await render_template("nowhere.html"), 404)
        return Response(f"{error.code} {error.name}\n", error.code or 500, content_type="text/plain; charset=utf-8")

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        log.error("a page failed", path=request.path[:200], exc_info=error)
        return Response("500 Internal Server Error\n", 500, content_type="text/plain; charset=utf-8")
