"""The OpenAPI document is valid, names every route and no other, and its task schemas agree with the decoder."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from render_trio.errors import InvalidTaskError
from render_trio.observation.metrics import Metrics
from render_trio.queue.messages import LeasedTask, decode
from render_trio.queue.producer import task_values
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.on_demand import open_on_demand
from render_trio.web.openapi import document
from resources.parsing import COMMON_OPTIONS
from resources.registry import CATALOGUE
from tests.render_trio.web.operated import Site, get, running
from tests.render_trio.web.site import LIMITS
from tests.requests import combinations

DOCUMENT = document.document({(operation.method, operation.path) for operation in document.OPERATIONS})


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({**DOCUMENT, "$ref": f"#/components/schemas/{name}"})


def accepted(task: dict[str, Any]) -> bool:
    payload = base64.b64encode(msgspec.json.encode(task)).decode()
    try:
        decode(LeasedTask("one", payload, 0, 0, 0))
    except InvalidTaskError:
        return False
    return True


def good_task(view: str, **options: Any) -> dict[str, Any]:
    return {"kind": "task#render", **task_values(view, options)[1]}


def test_it_is_an_openapi_document() -> None:
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


async def test_it_names_every_route_and_none_more() -> None:
    described = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    async with open_on_demand(ThreadOffload(Metrics(), 1, 1), LIMITS, Metrics()) as on_demand:
        assert described == document.served(Site().application(on_demand).url_map.iter_rules())


async def test_it_is_served_and_may_be_kept() -> None:
    async with running(Site()) as site:
        response = await get(site, "/openapi.json")
        assert response.json() == msgspec.json.decode(msgspec.json.encode(DOCUMENT))
        again = await get(site, "/openapi.json", **{"If-None-Match": response.headers["ETag"]})
        assert again.status_code == 304
        for path in ("/status", "/health"):
            name = {"/status": "Status", "/health": "Health"}[path]
            validator(name).validate((await get(site, path)).json())


def test_what_is_not_served_is_not_described() -> None:
    assert "/metrics" in DOCUMENT["paths"]
    assert document.document({("get", "/livez")})["paths"].keys() == {"/livez"}


@pytest.mark.parametrize("view", sorted(CATALOGUE))
def test_every_task_that_is_taken_fits_the_schema(view: str) -> None:
    schema = validator("RenderTask")
    for chosen in list(combinations(CATALOGUE[view]))[:40]:
        task = good_task(view, header_text="Room Four", seed=7, **chosen)
        assert accepted(task)
        schema.validate(task)


@pytest.mark.parametrize("view", sorted(CATALOGUE))
def test_what_the_schema_refuses_is_refused(view: str) -> None:
    resource, schema = CATALOGUE[view], validator("RenderTask")
    task = good_task(view)
    bad = [task | {"kind": "task#wash"}, task | {"resource_view": "laundry"}, task | {"laundry": 1}]
    for option in (*resource.options, *COMMON_OPTIONS):
        bad += [task | {option.name: value} for value in ("mauve", -1, [1], {"a": 1})]
        if option.required:
            bad.append({name: value for name, value in task.items() if name != option.name})
    for wrong in bad:
        assert not accepted(wrong)
        assert not schema.is_valid(wrong), wrong
