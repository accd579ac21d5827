"""The first page: every resource there is."""

from __future__ import annotations

from collections.abc import Callable

from quart import Blueprint, Response, render_template

from render_trio.health import Health
from resources import REGISTRY


def routes(health: Callable[[], Health]) -> Blueprint:
    """Return the routes of the gallery."""
    part = Blueprint("gallery", __name__)

    @part.get("/")
    async def index() -> Response:
        resources = sorted(REGISTRY.values(), key=lambda resource: resource.name)
        return Response(await render_template("index.html", resources=resources, health=health()))

    return part
