"""The names that the server answers for."""

from __future__ import annotations

import socket

import pytest

from render_trio.web.access.hosts import Hosts, own_names
from render_trio.web.server.request_limits import Message

HOSTS = Hosts(("print.example.org", ".school.example", "xn--bcher-kva.example"), frozenset({"printer"}))


def scope(*hosts: str, path: str = "/") -> Message:
    return {"path": path, "headers": [(b"host", host.encode("utf-8")) for host in hosts]}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8080",
        "192.168.1.20:80",
        "[::1]",
        "[2001:db8::1]:8080",
        "localhost:8080",
        "LOCALHOST.",
        "a.localhost",
        "printer",
        "Printer:8080",
        "print.example.org",
        "PRINT.example.ORG.:443",
        "school.example",
        "a.b.school.example",
        "xn--bcher-kva.example",
    ],
)
def test_allowed(host: str) -> None:
    assert HOSTS.check(scope(host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "",
        "print.example.org.evil.example",
        "evilschool.example",
        "x.print.example.org",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "evil.example@127.0.0.1",
        "127.0.0.1@evil.example",
        "localhost@evil.example",
        "evil.example:localhost",
        "localhost:80:80",
        "localhost:99999",
        "localhost/",
        "localhost evil",
        "localhost, evil.example",
        "localhost..",
        "[::1",
        "[::1]evil.example",
        "[localhost]",
        "[127.0.0.1]",
        "::1",
        "bücher.example",
        "localhost\u3002",
    ],
)
def test_refused_with_the_setting_that_would_allow_it(host: str) -> None:
    refusal = HOSTS.check(scope(host))
    assert refusal is not None
    assert refusal.status == 421
    assert "ALLOWED_HOSTS" in refusal.detail
    assert host[:5] in refusal.detail or not host.isascii()


def test_a_request_with_two_hosts_is_refused_even_if_both_are_allowed() -> None:
    refusal = HOSTS.check(scope("localhost", "localhost"))
    assert refusal is not None
    assert refusal.status == 400


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/_ah/health"])
def test_probes_are_exempt(path: str) -> None:
    assert HOSTS.check(scope("10-0-0-1.pod.cluster.example", path=path)) is None


def test_a_request_without_a_host_is_no_browsers() -> None:
    assert HOSTS.check(scope()) is None


def test_the_machines_own_name_is_allowed() -> None:
    assert Hosts().allows(socket.gethostname())
    assert socket.gethostname().lower() in own_names()
