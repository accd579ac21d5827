"""The web application: its routes put together, and one response for every error.

Each route module has a function `routes`, which takes the objects that the routes use and returns a blueprint.
"""

from __future__ import annotations

from http import HTTPStatus

import structlog
from quart import Blueprint, Response, render_template, request
from werkzeug.exceptions import HTTPException

from render_trio.rendering.on_demand import OnDemandRenderer
from render_trio.web import static_files
from render_trio.web.addresses import Application, address
from render_trio.web.documents import direct, gallery, preview, resource_page
from render_trio.web.documents.wording import failure_message
from render_trio.web.openapi import document
from render_trio.web.operations import probes
from render_trio.web.operations.probes import Probes
from render_trio.web.problems import problem, show_problems_to_browsers
from render_trio.web.responses import page_response, wants_page
from resources.content import assets

OPERATOR_PAGES = {"/status": "Status", "/health": "Health", "/metrics": "Metrics", "/version": "Version"}
KEPT_HEADERS = ("Allow", "Content-Range", "Retry-After")  # of an error: what the client has to know
log = structlog.get_logger(__name__)


def create_app(checks: Probes, on_demand: OnDemandRenderer, *service_routes: Blueprint) -> Application:
    """Return the application; `service_routes` are those that need a running service: its status, its queue."""
    app = Application("render_trio", static_folder=None, template_folder=str(assets.template_directory() / "web"))
    files = static_files.read(assets.static_directory() / "web")
    app.jinja_env.globals["address"] = address
    app.jinja_env.globals["asset"] = files.address
    app.jinja_env.globals["failure_message"] = failure_message
    app.register_blueprint(files.routes())
    app.register_blueprint(probes.routes(checks))
    for module in (gallery, resource_page, preview, direct):
        app.register_blueprint(module.routes(on_demand))
    for blueprint in (document.routes(), *service_routes):
        app.register_blueprint(blueprint)
    _handle_errors(app)
    show_problems_to_browsers(app)
    served = {rule.rule for rule in app.url_map.iter_rules()}
    app.jinja_env.globals["operator_links"] = [pair for pair in OPERATOR_PAGES.items() if pair[0] in served]
    return app


def _handle_errors(app: Application) -> None:
    """Answer every error with a problem, or a page for browsers, that reveals nothing of the implementation."""

    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> Response:
        if error.code == 404 and wants_page():
            return page_response(await render_template("not_found.html"), 404)
        status = HTTPStatus(error.code or 500)
        response = problem(status, status.name.lower(), status.description or status.phrase)
        response.headers.extend({name: value for name, value in error.get_headers() if name in KEPT_HEADERS})
        return response

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        log.error("request failed", path=request.path[:200], exc_info=error)
        return problem(500, "internal", "A mistake of the service; its log has the details.")
