"""A package of APIs → their routes, and the discovery service that describes them.

An API is a pair of files in the package: the discovery document `name_version.json`, and the module
`name_version.py` with

    ERRORS: ErrorStyle                                       the format of the API's error replies
    def verbs(service: QueueService) -> Mapping[str, Verb]   its verbs by method ID

Methods and paths are defined only in the document, so that document and routes can't disagree.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from emulator.queues.queue_service import QueueService
from emulator.wire.calls import Call, Reply, Route, Verb
from emulator.wire.errors import ApiError, ErrorStyle, required

API_PACKAGE = "emulator.api_data"


@dataclass(frozen=True, slots=True)
class Api:
    """One API: its discovery document, its routes, and the format of its errors."""

    name: str
    version: str
    document: Mapping[str, Any]
    routes: tuple[Route, ...]
    errors: ErrorStyle

    def schemas(self) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Return, by method ID, the schema of the method's reply and the API's schemas that it can refer to."""
        schemas = self.document.get("schemas", {})
        return {method["id"]: (method.get("response", {}), schemas) for method in methods(self.document)}


def load(service: QueueService, package: str = API_PACKAGE) -> list[Api]:
    """Return every API of the package. Raises ValueError if a document and its module don't match."""
    documents = [
        path for folder in importlib.import_module(package).__path__ for path in sorted(Path(folder).glob("*_*.json"))
    ]
    return [_load(service, package, path) for path in documents]


def methods(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the methods of a discovery document, including those of nested resources."""
    yield from document.get("methods", {}).values()
    for resource in document.get("resources", {}).values():
        yield from methods(resource)


def _load(service: QueueService, package: str, path: Path) -> Api:
    name, version = path.stem.rsplit("_", 1)
    document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    if importlib.util.find_spec(f"{package}.{path.stem}") is None:
        raise ValueError(f"{path.name} needs a module {path.stem}.py in the same folder, which does not exist")
    module = importlib.import_module(f"{package}.{path.stem}")
    verbs: Mapping[str, Verb] = module.verbs(service)
    described = {method["id"]: method for method in methods(document)}
    if described.keys() != verbs.keys():
        difference = ", ".join(sorted(described.keys() ^ verbs.keys()))
        raise ValueError(f"{path.name} and {path.stem}.py must define the same methods; only in one: {difference}")
    routes = tuple(
        Route(
            method_id,
            method["httpMethod"],
            f"/{document['servicePath']}{method.get('flatPath', method['path'])}",
            verbs[method_id],
            query_as_form=method["httpMethod"] == "POST" and "request" not in method,
        )
        for method_id, method in described.items()
    )
    return Api(name, version, document, routes, module.ERRORS)


def discovery_routes(apis: list[Api]) -> list[Route]:
    """Return the routes of the discovery service: its current path, the older /api/, and /$discovery/rest.

    On Google's servers, the host of /$discovery/rest identifies the API. Here, its version does.
    """
    known = {(api.name, api.version): api for api in apis}
    by_version = {api.version: api for api in apis}

    def document(call: Call, api: Api) -> Reply:
        base = {"rootUrl": call.root, "baseUrl": call.root + api.document["servicePath"]}
        return Reply(value={**api.document, **base})

    async def describe(call: Call) -> Reply:
        name, version = call.parameters["api"], call.parameters["version"]
        api = known.get((name, version))
        if api is None:
            available = ", ".join(f"{n}/{v}" for n, v in known)
            raise ApiError(404, f"API {name[:60]}/{version[:60]} does not exist; available: {available}")
        return document(call, api)

    async def describe_version(call: Call) -> Reply:
        available = ", ".join(by_version)
        version = call.query.get("version")
        if not version:
            raise required("version", available)
        if version not in by_version:
            raise ApiError(404, f"version {version[:60]} does not exist; available: {available}")
        return document(call, by_version[version])

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
        Route("", "GET", "/api/{api}/{version}", describe, is_open=True),
        Route("", "GET", "/discovery/v1/apis/{api}/{version}/rest", describe, is_open=True),
        Route("", "GET", "/$discovery/rest", describe_version, is_open=True),
        Route("", "GET", "/discovery/v1/apis", directory, is_open=True),
    ]
