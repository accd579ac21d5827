"""The APIs: every pair in api_data/, loaded; and the discovery service that tells of them.

A pair is `name_version.json`, the discovery document, and `name_version.py` with

    ERRORS: ErrorStyle                                       how the API tells errors
    def verbs(service: QueueService) -> Mapping[str, Verb]   its verbs by the document's method ids

Methods and addresses come from the document alone, so that the two can't tell different things.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from emulator.queues.service import QueueService
from emulator.wire.calls import Call, Reply, Route, Verb
from emulator.wire.errors import ApiError, ErrorStyle

API_DATA = Path(__file__).parent / "api_data"


@dataclass(frozen=True, slots=True)
class Api:
    """One API: its discovery document, its routes, and how it tells errors."""

    name: str
    version: str
    document: Mapping[str, Any]
    routes: tuple[Route, ...]
    errors: ErrorStyle

    def schemas(self) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Return the schema of each method's reply, by the method's id, and those that it refers to."""
        schemas = self.document.get("schemas", {})
        return {method["id"]: (method.get("response", {}), schemas) for method in methods(self.document)}


def load(service: QueueService, folder: Path = API_DATA) -> list[Api]:
    """Return every API of a folder. Raises ValueError when document and verbs don't fit together."""
    return [_load(service, path) for path in sorted(folder.glob("*_*.json"))]


def methods(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the methods of a discovery document, those of resources within resources too."""
    yield from document.get("methods", {}).values()
    for resource in document.get("resources", {}).values():
        yield from methods(resource)


def _load(service: QueueService, path: Path) -> Api:
    name, version = path.stem.rsplit("_", 1)
    document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    module_path = path.with_suffix(".py")
    specification = importlib.util.spec_from_file_location(f"emulator.api_data.{path.stem}", module_path)
    if not module_path.is_file() or specification is None or specification.loader is None:
        raise ValueError(f"{path.name} has no {module_path.name} beside it")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # as an import would: dataclasses look their module up
    specification.loader.exec_module(module)
    verbs: Mapping[str, Verb] = module.verbs(service)
    described = {method["id"]: method for method in methods(document)}
    if described.keys() != verbs.keys():
        apart = ", ".join(sorted(described.keys() ^ verbs.keys()))
        raise ValueError(f"{path.name} and {path.stem}.py don't both have: {apart}")
    routes = tuple(
        Route(
            name,
            method["httpMethod"],
            f"/{document['servicePath']}{method.get('flatPath', method['path'])}",
            verbs[name],
        )
        for name, method in described.items()
    )
    return Api(name, version, document, routes, module.ERRORS)


def discovery_routes(apis: list[Api]) -> list[Route]:
    """Return the routes of the discovery service, under its old and its usual addresses."""
    known = {(api.name, api.version): api for api in apis}

    async def describe(call: Call) -> Reply:
        name, version = call.parameters["api"], call.parameters["version"]
        api = known.get((name, version))
        if api is None:
            there = ", ".join(f"{n}/{v}" for n, v in known)
            raise ApiError(404, f"there is no API {name[:60]}/{version[:60]}; there is: {there}")
        base = {"rootUrl": call.root, "baseUrl": call.root + api.document["servicePath"]}
        return Reply(value={**api.document, **base})

    async def directory(call: Call) -> Reply:
        items = [
            {
                "kind": "discovery#directoryItem",
                "id": f"{api.name}:{api.version}",
                "name": api.name,
                "version": api.version,
                "title": api.document.get("title", ""),
                "description": api.document.get("description", ""),
                "discoveryRestUrl": f"{call.root}discovery/v1/apis/{api.name}/{api.version}/rest",
                "discoveryLink": f"./apis/{api.name}/{api.version}/rest",
                "preferred": True,
            }
            for api in apis
        ]
        return Reply(value={"kind": "discovery#directoryList", "discoveryVersion": "v1", "items": items})

    return [
        Route("", "GET", "/api/{api}/{version}", describe),
        Route("", "GET", "/discovery/v1/apis/{api}/{version}/rest", describe),
        Route("", "GET", "/discovery/v1/apis", directory),
    ]
