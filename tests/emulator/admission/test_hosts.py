"""The host names under which the queue answers."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest
import trio

from emulator.admission.hosts import REMEMBERED_HOSTS, Hosts, host_of, own_names
from tests.emulator.server.running import TASKS, emulator

NAMES = ("queue", "Queue.Example.org:5052", ".internal", "*.school.example")


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("127.0.0.1", True),
        ("192.0.2.7:80", True),
        ("[::1]", True),
        ("[2001:db8::1]:5052", True),
        ("localhost", True),
        ("LOCALHOST.:5052", True),
        ("queue", True),
        ("queue:1", True),
        ("queue.example.org", True),
        ("internal", True),
        ("a.b.internal", True),
        ("school.example", True),
        ("x.school.example:80", True),
        ("notinternal", False),
        ("internal.example", False),
        ("x.queue", False),
        ("queue.example", False),
        ("127.0.0.1.example", False),
        ("2130706433", False),
        ("0x7f000001", False),
        ("127.1", False),
        ("[::1", False),
        ("[evil.example]", False),
    ],
)
def test_a_host_is_allowed_by_address_name_or_domain(header: str, allowed: bool) -> None:
    assert Hosts(NAMES, ()).allowed(header) is allowed


def test_the_machine_s_own_names_are_allowed(tmp_path: Path) -> None:
    name = socket.gethostname()
    assert Hosts().allowed(name)
    (tmp_path / "hosts").write_text(
        f"127.0.0.1 localhost\n192.0.2.1 {name} {name}.example.org. # node\n192.0.2.2 other\n"
    )
    names = own_names(tmp_path / "hosts")
    assert {name.lower(), f"{name.lower()}.example.org"} <= names
    assert "other" not in names
    assert own_names(tmp_path / "missing") == {name.lower(), name.lower().partition(".")[0]}


@pytest.mark.parametrize("name", ["*", ".", "a b", "http://queue", "queue/x", "a..b"])
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"--allowed-hosts contains .* allowed: host names such as"):
        Hosts([name], ())


def test_decisions_about_invented_names_use_bounded_memory() -> None:
    hosts = Hosts((), ())
    for number in range(2 * REMEMBERED_HOSTS):
        assert not hosts.allowed(f"h{number}")
    assert hosts.allowed.cache_info().currsize == REMEMBERED_HOSTS  # type: ignore[attr-defined]


def test_the_host_of_an_address_has_no_port() -> None:
    assert [host_of(text) for text in ("a:1", "A", "[::1]:2", "::1", "a.")] == ["a", "a", "[::1]", "::1", "a"]


async def test_allowed_hosts_are_answered(store: str) -> None:
    async with emulator(store, allowed_hosts=("queue", ".example.org")) as client:
        for host, status in (("queue:80", 200), ("a.example.org", 200), ("a.example.net", 421)):
            assert (await client.get(TASKS, headers={"Host": host})).status_code == status


async def test_a_request_without_a_host_is_answered(client: httpx.AsyncClient) -> None:
    for head in (f"GET {TASKS} HTTP/1.0\r\n\r\n", f"GET {TASKS} HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n"):
        stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0)
        async with stream:
            await stream.send_all(head.encode())
            reply = b"".join([part async for part in stream])
        assert reply.startswith(b"HTTP/1.1 200 ")


async def test_the_host_of_an_absolute_target_counts(client: httpx.AsyncClient) -> None:
    for target, host, status in (("evil.example", "127.0.0.1", b"421"), ("127.0.0.1", "evil.example", b"200")):
        stream = await trio.open_tcp_stream(client.base_url.host, client.base_url.port or 0)
        async with stream:
            request = f"GET http://{target}{TASKS} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            await stream.send_all(request.encode())
            reply = b"".join([part async for part in stream])
        assert reply.split(b" ")[1] == status
