"""The OpenAPI document is valid, describes every route, and its task schemas agree with the decoder."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from render_trio.errors import InvalidTaskError
from render_trio.observation.metrics import Metrics
from render_trio.queue.messages import checked_task
from render_trio.queue.producer import task_values
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.on_demand import open_on_demand
from render_trio.web.openapi import document
from resources.parsing import COMMON_OPTIONS
from resources.registry import CATALOGUE
from tests.render_trio.web.operated import Site, get, running
from tests.render_trio.web.site import LIMITS
from tests.requests import combinations


async def application_routes() -> list[document.Route]:
    async with open_on_demand(ThreadOffload(Metrics(), 1, 1), LIMITS, Metrics()) as on_demand:
        return list(document.routes_of(Site().application(on_demand)))


ROUTES = trio.run(application_routes)
DOCUMENT = document.document(ROUTES)


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({**DOCUMENT, "$ref": f"#/components/schemas/{name}"})


def accepted(task: dict[str, Any]) -> bool:
    """Return whether POST /tasks accepts the task; the schema describes that, and the queue accepts more."""
    try:
        checked_task(msgspec.json.encode(task))
    except InvalidTaskError:
        return False
    return True


def valid_task(view: str, **options: Any) -> dict[str, Any]:
    return {"kind": "task#render", **task_values(view, options)[1]}


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_every_route_is_described() -> None:
    described = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}


async def test_the_document_is_served_with_an_etag() -> None:
    async with running(Site()) as site:
        response = await get(site, "/openapi.json")
        assert response.json() == msgspec.json.decode(msgspec.json.encode(DOCUMENT))
        again = await get(site, "/openapi.json", **{"If-None-Match": response.headers["ETag"]})
        assert again.status_code == 304
        for path in ("/status", "/health"):
            name = {"/status": "Status", "/health": "Health"}[path]
            validator(name).validate((await get(site, path)).json())


def test_only_the_routes_that_are_served_are_described() -> None:
    assert "/metrics" in DOCUMENT["paths"]
    livez = [route for route in ROUTES if route.path == "/livez"]
    assert document.document(livez)["paths"].keys() == {"/livez"}


@pytest.mark.parametrize("view", sorted(CATALOGUE))
def test_every_task_that_is_accepted_fits_the_schema(view: str) -> None:
    schema = validator("RenderTask")
    for chosen in list(combinations(CATALOGUE[view]))[:40]:
        task = valid_task(view, header_text="Room Four", seed=7, **chosen)
        assert accepted(task)
        schema.validate(task)


@pytest.mark.parametrize("view", sorted(CATALOGUE))
def test_every_task_that_the_schema_refuses_is_refused(view: str) -> None:
    resource, schema = CATALOGUE[view], validator("RenderTask")
    task = valid_task(view)
    bad = [task | {"kind": "task#wash"}, task | {"resource_view": "laundry"}, task | {"laundry": 1}]
    for option in (*resource.options, *COMMON_OPTIONS):
        bad += [task | {option.name: value} for value in ("mauve", -1, [1], {"a": 1})]
        if option.required:
            bad.append({name: value for name, value in task.items() if name != option.name})
    for wrong in bad:
        assert not accepted(wrong)
        assert not schema.is_valid(wrong), wrong
