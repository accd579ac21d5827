"""The parameters that every method has, with and without `$`, and what they change in a reply."""

from __future__ import annotations

import httpx
import pytest

from tests.emulator.server.running import CLOUD, TASKS, error_of, insert

LOCATION = CLOUD.rpartition("/queues/")[0]
NUMBERS = "json;enum-encoding=int"


@pytest.mark.parametrize("name", ["fields", "$fields"])
async def test_fields_select_with_and_without_a_dollar_sign(client: httpx.AsyncClient, name: str) -> None:
    await insert(client, id="one", tag="x")
    assert (await client.get(f"{TASKS}/one", params={name: "id,tag"})).json() == {"id": "one", "tag": "x"}
    assert error_of(await client.get(f"{TASKS}/one", params={name: "nothing"}))["location"] == "fields"


@pytest.mark.parametrize("name", ["prettyPrint", "$prettyPrint", "pp", "$pp"])
@pytest.mark.parametrize(("value", "indented"), [("false", False), ("False", False), ("0", False), ("1", True)])
async def test_indentation_has_aliases(client: httpx.AsyncClient, name: str, value: str, indented: bool) -> None:
    assert ("\n" in (await client.get(TASKS, params={name: value})).text) == indented
    assert ("\n" in (await client.get(f"{TASKS}/unknown", params={name: value})).text) == indented
    assert ("\n" in (await client.get("/nowhere", params={name: value})).text) == indented


@pytest.mark.parametrize("name", ["alt", "$alt"])
async def test_enums_are_numbers_on_request(client: httpx.AsyncClient, name: str) -> None:
    await insert(client, id="one")
    assert (await client.get(f"{CLOUD}/tasks/one")).json()["view"] == "BASIC"
    assert (await client.get(f"{CLOUD}/tasks/one", params={name: "json;enum-encoding=name"})).json()["view"] == "BASIC"
    assert (await client.get(f"{CLOUD}/tasks/one", params={name: NUMBERS})).json()["view"] == 1
    listed = await client.get(f"{CLOUD}/tasks", params={name: NUMBERS, "responseView": "FULL"})
    assert [task["view"] for task in listed.json()["tasks"]] == [2]
    body = {"maxTasks": 1, "leaseDuration": "60s"}
    leased = await client.post(f"{CLOUD}/tasks:lease", params={name: NUMBERS, "$fields": "tasks(view)"}, json=body)
    assert leased.json() == {"tasks": [{"view": 1}]}
    assert (await client.get(f"{LOCATION}/queues", params={name: NUMBERS})).json()["queues"][0]["state"] == 1
    assert (await client.post(f"{CLOUD}:pause", params={name: NUMBERS})).json()["state"] == 2
    # An API without enums accepts the parameter too.
    assert (await client.get(f"{TASKS}/one", params={name: NUMBERS})).json()["id"] == "one"


async def test_the_semicolon_of_alt_may_be_sent_unencoded(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    response = await client.get(httpx.URL(str(client.base_url) + f"{CLOUD}/tasks/one?$alt=json;enum-encoding=int&a=b"))
    assert response.json()["view"] == 1


@pytest.mark.parametrize("value", ["media", "proto", "atom", "json;enum-encoding=x", ""])
async def test_other_formats_are_refused(client: httpx.AsyncClient, value: str) -> None:
    for name in ("alt", "$alt"):
        refused = await client.get(TASKS, params={name: value})
        assert (refused.status_code, error_of(refused)["location"]) == (400, "alt")
        assert "json;enum-encoding=int" in error_of(refused)["message"]


async def test_the_name_with_a_dollar_sign_takes_precedence(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    query = {"fields": "kind", "$fields": "id", "alt": "media", "$alt": "json"}
    assert (await client.get(f"{TASKS}/one", params=query)).json() == {"id": "one"}


@pytest.mark.parametrize("name", ["$.xgafv", "xgafv", "$xgafv"])
async def test_the_error_format_can_be_selected(client: httpx.AsyncClient, name: str) -> None:
    for path in (f"{TASKS}/unknown", f"{CLOUD}/tasks/unknown"):
        assert (await client.get(path, params={name: "1"})).json()["error"]["errors"][0]["reason"] == "notFound"
        assert (await client.get(path, params={name: "2"})).json()["error"]["status"] == "NOT_FOUND"
    assert error_of(await client.get(TASKS, params={name: "3"}))["location"] == "$.xgafv"


@pytest.mark.parametrize("name", ["callback", "$callback", "$httpMethod", "$httpHeaders", "$req", "$ct"])
async def test_parameters_that_would_change_the_request_are_refused(client: httpx.AsyncClient, name: str) -> None:
    refused = await client.post(f"{TASKS}/lease", params={"numTasks": 1, "leaseSecs": 1, name: "DELETE"})
    assert (refused.status_code, error_of(refused)["location"]) == (400, name)
    assert "javascript" not in refused.headers["Content-Type"]


async def test_harmless_parameters_are_ignored(client: httpx.AsyncClient) -> None:
    names = ("key", "access_token", "oauth_token", "bearer_token", "quotaUser", "userIp", "uploadType", "unknown")
    query = {name: "x" for plain in names for name in (plain, f"${plain}")}
    assert (await client.get(TASKS, params=query | {"upload_protocol": "raw"})).json() == {"kind": "taskqueues#tasks"}
