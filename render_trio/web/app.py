"""The web application: what an orchestrator asks, what Prometheus scrapes, and pages for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from quart import Response, render_template, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from render_trio import acceleration
from render_trio.health import Health
from resources import REGISTRY, assets

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Views:
    """What the pages show: each is asked at the moment of the request.

    `recover` restarts what has stalled, and returns the names.
    """

    health: Callable[[], Health]
    recover: Callable[[], list[str]]
    metrics: Callable[[], bytes]
    show_metrics: bool


def create_app(views: Views) -> QuartTrio:
    """Return the application."""
    app = QuartTrio(
        "render_trio",
        static_folder=str(assets.static_directory() / "web"),
        static_url_path="/static",
        template_folder=str(assets.template_directory() / "web"),
    )

    @app.get("/")
    async def index() -> Response:
        resources = sorted(REGISTRY.values(), key=lambda resource: resource.name)
        return Response(await render_template("index.html", resources=resources, health=views.health()))

    async def answer_health() -> Response:
        recovered = views.recover()
        health = views.health()
        status = 200 if health.well else 503
        if _wants_page():
            page = await render_template("health.html", health=health, recovered=recovered)
            return Response(page, status, {"Cache-Control": "no-store"})
        return _json({**msgspec.to_builtins(health), "recovered": recovered}, status)

    # App Engine's flexible environment asks under the second name.
    app.add_url_rule("/health", "health", answer_health)
    app.add_url_rule("/_ah/health", "ah_health", answer_health)

    @app.get("/livez")
    async def live() -> Response:
        return _json({"status": "alive"})

    @app.get("/readyz")
    async def ready() -> Response:
        health = views.health()
        reason = "draining" if health.draining else "ok" if health.ready else "the queue can't be reached"
        return _json({"status": reason}, 200 if health.ready else 503)

    @app.get("/version")
    async def version() -> Response:
        return _json(acceleration.versions())

    if views.show_metrics:

        @app.get("/metrics")
        async def metrics() -> Response:
            return Response(views.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.errorhandler(HTTPException)
    async def refused(error: HTTPException) -> Response:
        return Response(f"{error.code} {error.name}\n", error.code or 500, content_type="text/plain; charset=utf-8")

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        log.error("a page failed", path=request.path[:200], exc_info=error)
        return Response("500 Internal Server Error\n", 500, content_type="text/plain; charset=utf-8")

    return app


def _wants_page() -> bool:
    accepted = request.accept_mimetypes.best_match(["application/json", "text/html"], "application/json")
    return bool(accepted == "text/html")


def _json(value: dict[str, Any], status: int = 200) -> Response:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Response(msgspec.json.format(msgspec.json.encode(value), indent=2), status, headers)
