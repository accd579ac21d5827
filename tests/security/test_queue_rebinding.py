"""DNS rebinding: a page of another site whose name resolves to the queue. 0.1.0 answered all of these."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import ROOT
from tests.emulator.server.running import CLOUD, PAYLOAD, TASKS, emulator, error_of, insert
from tests.processes import start_queue

REBOUND = {"Host": "rebound.example:5052"}
# As a browser sends them: for it, the queue is part of the page's own site.
SAME_SITE = REBOUND | {"Sec-Fetch-Site": "same-origin", "Origin": "http://rebound.example:5052"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{TASKS}/one", None),
        ("GET", "/queues/shop/print", None),
        ("GET", "/", None),
        ("GET", "/metrics", None),
        ("GET", "/discovery/v1/apis", None),
        ("GET", "/nowhere", None),
        ("POST", f"{TASKS}/lease?numTasks=1&leaseSecs=60", None),
        ("POST", TASKS, {"payloadBase64": PAYLOAD}),
        ("POST", f"{CLOUD}:purge", {}),
        ("DELETE", f"{TASKS}/one", None),
        ("POST", "/admin/reset", None),
        ("POST", "/batch", {}),
    ],
)
async def test_a_rebound_page_can_neither_read_nor_change_anything(
    store: str, method: str, path: str, body: object
) -> None:
    async with emulator(store, test_verbs=True) as client:
        await insert(client, id="one")
        for headers in (REBOUND, SAME_SITE):
            refused = await client.request(method, path, headers=headers, json=body)
            assert refused.status_code == 421
            assert "rebound.example" in refused.json()["error"]["message"]
            assert "EMULATOR_ALLOWED_HOSTS" in refused.json()["error"]["message"]
            assert PAYLOAD not in refused.text
        (task,) = (await client.get(TASKS)).json()["items"]
        assert (task["id"], task["retry_count"]) == ("one", 0)


async def test_a_rebound_page_cannot_use_the_form_that_purges_a_queue(client: httpx.AsyncClient) -> None:
    await insert(client, id="one")
    form = {"verb": "purge", "sure": "yes"}
    assert (await client.post("/queues/shop/print", data=form, headers=SAME_SITE)).status_code == 421
    assert (await client.get(f"{TASKS}/one")).status_code == 200


async def test_other_headers_do_not_replace_the_host(client: httpx.AsyncClient) -> None:
    for name in ("X-Forwarded-Host", "X-Host", "X-Forwarded-Server", "Forwarded"):
        headers = REBOUND | {name: "host=localhost" if name == "Forwarded" else "localhost"}
        refused = await client.get(TASKS, headers=headers)
        assert (refused.status_code, error_of(refused)["location"]) == (421, "Host")


@pytest.mark.parametrize("host", ["localhost.rebound.example", "127.0.0.1.rebound.example", "xlocalhost"])
async def test_names_that_resemble_an_own_one_are_refused(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get(TASKS, headers={"Host": host})).status_code == 421


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "//health/", "/%68ealth"])
async def test_probes_are_answered_under_every_name(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(httpx.URL(f"{client.base_url}{path}"), headers=REBOUND)).status_code == 200
    assert (await client.post(httpx.URL(f"{client.base_url}{path}"), headers=REBOUND)).status_code == 421


def compose_environment() -> dict[str, str]:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    environment: dict[str, str] = services["queue"]["environment"]
    return environment


def test_the_service_of_the_compose_file_reaches_its_queue_by_name(tmp_path: Path) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    host = re.sub("^http://", "", services["render"]["environment"]["QUEUE_URL"])
    hosts = compose_environment()["EMULATOR_ALLOWED_HOSTS"]
    running = start_queue(f"sqlite:///{tmp_path / 'q'}", EMULATOR_ALLOWED_HOSTS=hosts)
    try:
        accepted = httpx.get(f"{running.address}{TASKS}", headers={"Host": host}, trust_env=False)
        refused = httpx.get(f"{running.address}{TASKS}", headers={"Host": "other"}, trust_env=False)
    finally:
        running.end()
    assert (accepted.status_code, refused.status_code) == (200, 421)
