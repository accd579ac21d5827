"""The page Try it is made from the discovery documents, and nothing in them can become markup."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import discovery
from emulator.pages.try_it import Method, api_methods

API_DATA = Path(__file__).parents[3] / "emulator" / "api_data"
DOCUMENTS = [json.loads(path.read_text()) for path in sorted(API_DATA.glob("*_*.json"))]
DESCRIBED = {method["id"]: method for document in DOCUMENTS for method in discovery.methods(document)}


def shown(documents: list[Any]) -> dict[str, Method]:
    return {method.id: method for api in api_methods(documents) for group in api.groups for method in group.methods}


def test_every_method_of_both_documents_is_shown() -> None:
    assert len(DOCUMENTS) == 2
    assert shown(DOCUMENTS).keys() == DESCRIBED.keys()


@pytest.mark.parametrize("method_id", sorted(DESCRIBED))
def test_a_method_has_all_its_parameters(method_id: str) -> None:
    method, described = shown(DOCUMENTS)[method_id], DESCRIBED[method_id]
    assert (method.verb, method.description) == (described["httpMethod"], described["description"])
    in_path = [parameter.name for parameter in method.parameters if parameter.place == "path"]
    assert in_path == re.findall(r"\{(\w+)\}", method.path)
    in_query = {name for name, about in described.get("parameters", {}).items() if about["location"] == "query"}
    assert {parameter.name for parameter in method.parameters if parameter.place == "query"} == in_query
    required = {name for name, about in described.get("parameters", {}).items() if about.get("required")}
    assert required & in_query <= {parameter.name for parameter in method.parameters if parameter.required}
    assert ("request" in described) == bool(method.example)


def test_a_method_that_is_added_to_a_document_appears() -> None:
    documents = copy.deepcopy(DOCUMENTS)
    documents[0]["resources"]["added"] = {
        "methods": {
            "polish": {"id": "x.added.polish", "httpMethod": "PUT", "path": "added/{thing}", "description": "?"}
        }
    }
    method = shown(documents)["x.added.polish"]
    assert (method.verb, [parameter.name for parameter in method.parameters]) == ("PUT", ["thing"])


def test_only_what_a_client_can_set_is_in_an_example() -> None:
    methods = shown(DOCUMENTS)
    insert = json.loads(methods["taskqueue.tasks.insert"].example)
    assert insert == {"id": "", "queueName": "", "payloadBase64": "", "leaseTimestamp": None, "tag": ""}
    created = methods["cloudtasks.projects.locations.queues.tasks.create"]
    assert json.loads(created.example)["task"]["pullMessage"] == {"payload": "", "tag": ""}
    assert created.bytes_fields == ("task.pullMessage.payload",)
    assert "createTime" not in created.example


def test_what_deletes_must_be_confirmed() -> None:
    deleting = {method.id for method in shown(DOCUMENTS).values() if method.deletes}
    assert deleting == {
        "taskqueue.tasks.delete",
        "cloudtasks.projects.locations.queues.tasks.delete",
        "cloudtasks.projects.locations.queues.purge",
    }


async def test_every_method_has_a_page(client: httpx.AsyncClient) -> None:
    overview = await client.get("/try")
    assert all(f'href="/try/{method_id}"' in overview.text for method_id in DESCRIBED)
    for method_id, described in DESCRIBED.items():
        page = await client.get(f"/try/{method_id}")
        assert page.status_code == 200
        assert f"<code>{method_id}</code>" in page.text
        assert f"curl{'' if described['httpMethod'] == 'GET' else ' -X ' + described['httpMethod']}" in page.text
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "script-src" not in (await client.get("/")).headers["Content-Security-Policy"]


async def test_nothing_in_an_address_becomes_markup(client: httpx.AsyncClient) -> None:
    markup = '"><script>alert(1)</script>'
    page = await client.get("/try/taskqueue.tasks.lease", params={"project": markup, "queue": markup})
    assert "<script>alert" not in page.text
    unknown = await client.get(f"/try/{markup}")
    assert unknown.status_code == 404
    assert "<script>alert" not in unknown.text
