"""Routes for orchestrators and Prometheus: health, liveness, readiness, version, metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from quart import Blueprint, Response, render_template

from render_trio.observation import versions
from render_trio.supervision.health import Health
from render_trio.web.openapi.operation import HTML, JSON, TEXT, describe
from render_trio.web.responses import NOT_KEPT, json_response, wants_page
from resources import registry


@dataclass(frozen=True, slots=True)
class Probes:
    """Functions called by each request. `recover` restarts stalled workers and returns their names."""

    health: Callable[[], Health]
    recover: Callable[[], list[str]]
    metrics: Callable[[], bytes]
    show_metrics: bool


def _readiness(health: Health) -> str:
    if health.draining:
        return "draining"
    if health.missing_files:
        return health.missing_files
    if not health.leasing:
        return health.document_store
    return "ok" if health.ready else "the queue is unreachable"


def routes(probes: Probes) -> Blueprint:
    """Return the routes of the probes."""
    part = Blueprint("probes", __name__)

    @describe(
        "200 if healthy, otherwise 503 with the reasons. Also restarts stalled workers",
        {200: {JSON: "Health", HTML: ""}, 503: {JSON: "Health", HTML: ""}},
    )
    async def health() -> Response:
        recovered = probes.recover()
        health = probes.health()
        status = 200 if health.well else 503
        if wants_page():
            page = await render_template("health.html", health=health, recovered=recovered)
            return Response(page, status, {"Cache-Control": NOT_KEPT})
        return json_response({**msgspec.to_builtins(health), "recovered": recovered}, status)

    # App Engine's flexible environment calls the second address.
    part.add_url_rule("/health", "health", health)
    part.add_url_rule("/_ah/health", "ah_health", health)

    @part.get("/livez")
    @describe("200 while the process answers", {200: {JSON: ""}})
    async def live() -> Response:
        return json_response({"status": "alive"})

    @part.get("/readyz")
    @describe("200 while the service takes tasks, otherwise 503", {200: {JSON: ""}, 503: {JSON: ""}})
    async def ready() -> Response:
        health = probes.health()
        return json_response({"status": _readiness(health)}, 200 if health.ready else 503)

    @part.get("/version")
    @describe("The versions that documents depend on", {200: {JSON: ""}})
    async def version() -> Response:
        plugins = {origin.name: origin.version for origin in registry.ORIGINS.values() if origin != registry.OWN}
        left_out = [problem.plugin for problem in registry.problems()]
        return json_response(versions.versions() | {"plugins": plugins, "plugins_left_out": left_out})

    if probes.show_metrics:

        @part.get("/metrics")
        @describe("Metrics for Prometheus", {200: {TEXT: ""}})
        async def metrics() -> Response:
            return Response(probes.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return part
