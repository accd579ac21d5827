"""What an orchestrator asks and Prometheus scrapes: health, liveness, readiness, version, metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from quart import Blueprint, Response, render_template

from render_trio.observation import versions
from render_trio.supervision.health import Health
from render_trio.web.responses import json_reply, wants_page


@dataclass(frozen=True, slots=True)
class Probes:
    """What is asked, at the moment of the request. `recover` restarts what has stalled, and returns the names."""

    health: Callable[[], Health]
    recover: Callable[[], list[str]]
    metrics: Callable[[], bytes]
    show_metrics: bool


def routes(probes: Probes) -> Blueprint:
    """Return the routes of the probes."""
    part = Blueprint("probes", __name__)

    async def answer_health() -> Response:
        recovered = probes.recover()
        health = probes.health()
        status = 200 if health.well else 503
        if wants_page():
            page = await render_template("health.html", health=health, recovered=recovered)
            return Response(page, status, {"Cache-Control": "no-store"})
        return json_reply({**msgspec.to_builtins(health), "recovered": recovered}, status)

    # App Engine's flexible environment asks under the second name.
    part.add_url_rule("/health", "health", answer_health)
    part.add_url_rule("/_ah/health", "ah_health", answer_health)

    @part.get("/livez")
    async def live() -> Response:
        return json_reply({"status": "alive"})

    @part.get("/readyz")
    async def ready() -> Response:
        health = probes.health()
        reason = "draining" if health.draining else "ok" if health.ready else "the queue can't be reached"
        return json_reply({"status": reason}, 200 if health.ready else 503)

    @part.get("/version")
    async def version() -> Response:
        return json_reply(versions.versions())

    if probes.show_metrics:

        @part.get("/metrics")
        async def metrics() -> Response:
            return Response(probes.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return part
