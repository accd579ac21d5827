"""The discovery service describes exactly the available methods, and a pair of files is an API."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from emulator import discovery
from emulator.app import create_app
from emulator.permissions.access import Access
from emulator.queues.queue_service import QueueService
from emulator.stores.interface import Store
from tests.conftest import ROOT
from tests.emulator.server.running import emulator, error_of

API_DATA = ROOT / "emulator" / "api_data"
PAIR = """
from emulator.wire.calls import Reply
from emulator.wire.errors import by_status

ERRORS = by_status


def verbs(service):
    async def greet(call):
        return Reply(value={"greeting": call.parameters["name"], "also": {"x": 1}})
    return {"greeter.greet": greet}
"""
DOCUMENT = {
    "name": "greeter",
    "version": "v1",
    "servicePath": "hello/",
    "schemas": {"Greeting": {"properties": {"greeting": {"type": "string"}, "also": {"properties": {"x": {}}}}}},
    "resources": {
        "people": {
            "methods": {
                "greet": {
                    "id": "greeter.greet",
                    "path": "{name}:greet",
                    "httpMethod": "POST",
                    "response": {"$ref": "Greeting"},
                }
            }
        }
    },
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an importable package without APIs; its name is that of the package."""
    folder = tmp_path / "temporary_apis"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == folder.name]:
        del sys.modules[name]


def asgi_client(opened: Store, folder: Path) -> httpx.AsyncClient:
    app = create_app(opened, Access(), apis=folder.name)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://host:81")


async def test_documents_and_routes_define_the_same_methods(client: httpx.AsyncClient, opened: Store) -> None:
    items = (await client.get("/discovery/v1/apis")).json()["items"]
    assert {item["id"] for item in items} == {path.stem.replace("_", ":") for path in API_DATA.glob("*.json")}
    for item in items:
        document = (await client.get(f"/api/{item['name']}/{item['version']}")).json()
        assert (await client.get(item["discoveryRestUrl"])).json() == document
        assert document["baseUrl"] == document["rootUrl"] + document["servicePath"]
        described = list(discovery.methods(document))
        (api,) = [api for api in discovery.load(QueueService(opened, Access())) if api.name == item["name"]]
        assert sorted(route.id for route in api.routes) == sorted(method["id"] for method in described)
        for method in described:
            assert set(method["parameterOrder"]) <= set(method["parameters"])
            assert {name for name, p in method["parameters"].items() if p.get("required")} <= set(
                method["parameterOrder"]
            )
        for route in api.routes:
            # "x" is valid for every parameter, so the reply is that of a verb, or an error that the verb raises.
            response = await client.request(route.method, route.path.replace("{", "x").replace("}", "x"))
            message = response.json()["error"]["message"] if response.status_code >= 400 else ""
            assert response.status_code != 405, route
            assert not message.startswith("path "), route


async def test_a_pair_of_files_is_an_api(opened: Store, package: Path) -> None:
    (package / "greeter_v1.json").write_text(json.dumps(DOCUMENT))
    (package / "greeter_v1.py").write_text(PAIR)
    async with asgi_client(opened, package) as client:
        document = (await client.get("/api/greeter/v1")).json()
        assert (document["rootUrl"], document["baseUrl"]) == ("http://host:81/", "http://host:81/hello/")
        assert [item["id"] for item in (await client.get("/discovery/v1/apis")).json()["items"]] == ["greeter:v1"]
        greeted = await client.post("/hello/World:greet?fields=also/x&prettyPrint=false")
        assert greeted.content == b'{"also":{"x":1}}'
        assert (await client.post("/hello/a%2Fb:greet")).json()["greeting"] == "a/b"
        # Errors at paths of the API have its own format; those of the discovery service have the older one.
        wrong = await client.post("/hello/World:greet?fields=nothing")
        assert wrong.json()["error"]["status"] == "INVALID_ARGUMENT"
        refused = await client.get("/hello/World:greet")
        assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
        assert refused.json()["error"]["status"] == "UNIMPLEMENTED"
        assert error_of(await client.get("/api/greeter/v2"))["reason"] == "notFound"


@pytest.mark.parametrize(
    ("method", "message"),
    [("greeter.greet2", r"greeter\.greet, greeter\.greet2"), ("", "needs a module greeter_v1.py")],
)
def test_a_document_without_a_matching_module_prevents_startup(
    opened: Store, package: Path, method: str, message: str
) -> None:
    (package / "greeter_v1.json").write_text(json.dumps(DOCUMENT))
    if method:
        (package / "greeter_v1.py").write_text(PAIR.replace('"greeter.greet"', f'"{method}"'))
    with pytest.raises(ValueError, match=message):
        create_app(opened, Access(), apis=package.name)


@pytest.mark.parametrize(
    ("headers", "root"),
    [
        ({"Host": "localhost"}, "http://localhost/"),
        ({"Host": "[::1]:5052"}, "http://[::1]:5052/"),
        # Without --trusted-proxies, every client could send this.
        ({"Host": "localhost:1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "a"}, "http://localhost:1/"),
    ],
)
async def test_the_root_url_is_the_one_that_the_client_used(
    client: httpx.AsyncClient, headers: dict[str, str], root: str
) -> None:
    assert (await client.get("/api/taskqueue/v1beta2", headers=headers)).json()["rootUrl"] == root


async def test_an_invalid_host_is_refused(client: httpx.AsyncClient) -> None:
    refused = await client.get("/api/taskqueue/v1beta2", headers={"Host": 'a"/><script>'})
    assert (refused.status_code, error_of(refused)["location"]) == (400, "Host")
    async with emulator("sqlite:///:memory:") as other:
        assert (await other.get("/api/taskqueue/v1beta2")).json()["rootUrl"] == f"{other.base_url}/"
