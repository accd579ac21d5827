"""What a trusted reverse proxy reports, and what everybody else only claims."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from emulator.admission.proxies import Proxies
from tests.emulator.server.running import emulator, insert

PROXY = "127.0.0.1"


def scope(peer: str, *headers: tuple[str, str], path: str = "/try") -> dict[str, Any]:
    return {
        "client": (peer, 40000),
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in (("host", "queue:5052"), *headers)],
    }


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (["192.0.2.9"], "192.0.2.9"),
        (["192.0.2.1, 192.0.2.9"], "192.0.2.9"),  # the first was sent by the client itself
        (["192.0.2.1", "192.0.2.9"], "192.0.2.9"),
        (["192.0.2.9, 10.0.0.7"], "192.0.2.9"),  # 10.0.0.7 is a trusted proxy too
        (["10.0.0.7"], "10.0.0.7"),
        (["192.0.2.9:4711"], "192.0.2.9"),
        (["[2001:db8::1]:80"], "2001:db8::1"),
        (["unknown"], PROXY),
        (["192.0.2.9, <script>"], PROXY),
        ([], PROXY),
    ],
)
def test_the_client_is_the_last_address_that_is_not_a_proxy(chain: list[str], client: str) -> None:
    headers = [("x-forwarded-for", entry) for entry in chain]
    found = Proxies(["127.0.0.0/8", "10.0.0.0/24"]).forwarded(scope(PROXY, *headers))
    assert found["client"][0] == client


def test_everybody_else_s_headers_are_ignored() -> None:
    forged = [("x-forwarded-for", "192.0.2.9"), ("x-forwarded-proto", "https"), ("x-forwarded-prefix", "/x")]
    forged.append(("x-forwarded-host", "evil.example"))
    given = scope("192.0.2.5", *forged)
    assert Proxies(["10.0.0.0/24"]).forwarded(given) == given
    assert Proxies().forwarded(given) is given


def test_an_address_mapped_to_ipv6_is_that_of_the_proxy() -> None:
    found = Proxies([PROXY]).forwarded(scope("::ffff:127.0.0.1", ("x-forwarded-for", "192.0.2.9")))
    assert found["client"][0] == "192.0.2.9"


def test_scheme_host_and_prefix_are_those_that_the_proxy_received() -> None:
    headers = [("x-forwarded-proto", "http, https"), ("x-forwarded-host", "queue.example.org")]
    found = Proxies([PROXY]).forwarded(scope(PROXY, *headers, ("X-Forwarded-Prefix", "/queue/")))
    assert (found["scheme"], found["root_path"], found["path"]) == ("https", "/queue", "/try")
    assert [value for name, value in found["headers"] if name == b"host"] == [b"queue.example.org"]
    invalid = [("x-forwarded-proto", "gopher"), ("x-forwarded-host", "a b"), ("x-forwarded-prefix", '/"><script>')]
    found = Proxies([PROXY]).forwarded(scope(PROXY, *invalid))
    assert (found["scheme"], found["root_path"], found["headers"][0]) == ("http", "", (b"host", b"queue:5052"))


@pytest.mark.parametrize(("path", "found"), [("/q/try", "/try"), ("/q", "/"), ("/try", "/try"), ("/qx/try", "/qx/try")])
def test_the_root_path_is_removed_unless_the_proxy_has_removed_it(path: str, found: str) -> None:
    assert Proxies((), "/q").forwarded(scope("192.0.2.5", path=path))["raw_path"] == found.encode()


@pytest.mark.parametrize("networks", [["10.0.0.1/8"], ["proxy"], [""]])
def test_an_invalid_network_is_refused(networks: list[str]) -> None:
    with pytest.raises(ValueError, match=r"--trusted-proxies: .* allowed: addresses and networks"):
        Proxies(networks)


@pytest.mark.parametrize("path", ["q", "/a b", "/try", "/queues/"])
def test_an_invalid_root_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"--root-path is .* allowed: a path such as /queue"):
        Proxies((), path)


@pytest.mark.parametrize("removed", [True, False])
async def test_pages_and_discovery_work_under_a_path(store: str, removed: bool) -> None:
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "school.example"}
    prefix = "" if removed else "/queue"
    settings = {"trusted_proxies": (PROXY,), "root_path": "/queue", "allowed_hosts": ("school.example",)}
    async with emulator(store, **settings) as client:
        await insert(client, id="one")
        for path in ("/", "/queues/shop/print", "/try", "/try/taskqueue.tasks.insert", "/queues/none/none"):
            page = await client.get(f"{prefix}{path}", headers=headers)
            assert page.status_code == 200
            links = links_of(page)
            assert links
            assert all(link.startswith("/queue/") for link in links), links
        form = {"verb": "delete", "task": "one"}
        moved = await client.post(f"{prefix}/queues/shop/print", data=form, headers=headers)
        assert (moved.status_code, moved.headers["Location"]) == (303, "/queue/queues/shop/print")
        document = (await client.get(f"{prefix}/api/taskqueue/v1beta2", headers=headers)).json()
        assert document["rootUrl"] == "https://school.example/queue/"
        tried = (await client.get(f"{prefix}/try/taskqueue.tasks.insert", headers=headers)).text
        assert "https://school.example/queue/taskqueue/v1beta2/projects/" in tried


def links_of(page: httpx.Response) -> list[str]:
    """Return the addresses of a page's links, scripts and forms."""
    return [link for link in re.findall(r'(?:href|src|action|data-path)="([^"]*)"', page.text) if link]
