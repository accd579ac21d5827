"""Forwarded headers: what is believed, from whom, and which values are ignored."""

from __future__ import annotations

import ipaddress

import pytest
from structlog.testing import capture_logs

from render_trio.web.server.proxies import Proxies, clean_prefix
from render_trio.web.server.request_limits import Message

TRUSTED = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "127.0.0.1", "fd00::/8"))


def scope(peer: str | None = "10.0.0.1", path: str = "/", **headers: str | list[str]) -> Message:
    lines = [(b"host", b"inside:8080")]
    for name, given in headers.items():
        for value in [given] if isinstance(given, str) else given:
            lines.append((name.replace("_", "-").lower().encode(), value.encode("latin-1")))
    client = None if peer is None else (peer, 4711)
    return {
        "type": "http",
        "client": client,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "headers": lines,
    }


def corrected(given: Message, root_path: str = "") -> Message:
    return Proxies(TRUSTED, root_path).corrected(given)


def host_of(given: Message) -> str:
    (host,) = [value for name, value in given["headers"] if name == b"host"]
    return str(host.decode())


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7", "192.0.2.7"),  # the first was sent by the client
        ("192.0.2.7, 10.9.9.9", "192.0.2.7"),  # two proxies
        (["6.6.6.6", "192.0.2.7, 10.9.9.9"], "192.0.2.7"),  # two lines are one list
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),  # a client in the trusted network
        ("192.0.2.7:5060", "192.0.2.7"),
        ("[2001:db8::1]:5060", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "10.0.0.1"),
        ("192.0.2.7, <script>", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("6.6.6.6, unknown, 10.3.3.3", "10.3.3.3"),
    ],
)
def test_the_client_is_the_last_address_that_is_no_trusted_proxy(value: str | list[str], client: str) -> None:
    assert corrected(scope(x_forwarded_for=value))["client"][0] == client


@pytest.mark.parametrize(
    ("value", "client", "scheme", "host"),
    [
        ("for=192.0.2.7;proto=https;host=example.org", "192.0.2.7", "https", "example.org"),
        ('For="[2001:db8::1]:80"; Proto=HTTPS', "2001:db8::1", "https", "inside:8080"),
        ("for=6.6.6.6;host=evil.example, for=192.0.2.7;host=example.org", "192.0.2.7", "http", "example.org"),
        ("for=192.0.2.7;proto=https, for=10.2.2.2", "192.0.2.7", "https", "inside:8080"),
        ("for=_hidden", "10.0.0.1", "http", "inside:8080"),
        ("nonsense", "10.0.0.1", "http", "inside:8080"),
        ('for="', "10.0.0.1", "http", "inside:8080"),
    ],
)
def test_forwarded(value: str, client: str, scheme: str, host: str) -> None:
    found = corrected(scope(forwarded=value))
    assert (found["client"][0], found["scheme"], host_of(found)) == (client, scheme, host)


def test_forwarded_is_ignored_next_to_the_other_headers() -> None:
    found = corrected(scope(forwarded="for=6.6.6.6;host=evil.example", x_forwarded_for="192.0.2.7"))
    assert (found["client"][0], host_of(found)) == ("192.0.2.7", "inside:8080")


def test_scheme_and_host() -> None:
    found = corrected(scope(x_forwarded_proto="https", x_forwarded_host="example.org:8443"))
    assert (found["scheme"], host_of(found)) == ("https", "example.org:8443")


@pytest.mark.parametrize("peer", ["192.0.2.1", "11.0.0.1", "2001:db8::1", None])
def test_other_peers_are_not_believed(peer: str | None) -> None:
    headers = dict.fromkeys(("x_forwarded_proto", "x_forwarded_host", "x_forwarded_prefix", "forwarded"), "evil")
    given = scope(peer, "/evil/x", x_forwarded_for="6.6.6.6", **headers)
    assert corrected(given) == given


def test_a_trusted_peer_may_have_a_mapped_address() -> None:
    assert corrected(scope("::ffff:127.0.0.1", x_forwarded_for="192.0.2.7"))["client"][0] == "192.0.2.7"


@pytest.mark.parametrize("path", ["/tasks/1", "/print/tasks/1"])
def test_a_proxy_may_remove_the_root_path_or_not(path: str) -> None:
    for found in (corrected(scope(path=path, x_forwarded_prefix="/print/")), corrected(scope(path=path), "/print")):
        assert (found["root_path"], found["path"]) == ("/print", "/tasks/1")
    assert corrected(scope(path="/print"), "/print")["path"] == "/"
    assert corrected(scope(path="/printer"), "/print")["path"] == "/printer"


def test_the_setting_wins_over_the_header() -> None:
    assert corrected(scope(x_forwarded_prefix="/other"), "/print")["root_path"] == "/print"


@pytest.mark.parametrize(
    "value",
    [
        "//evil.example",
        "/\\evil.example",
        "evil",
        "https://evil.example",
        '/a"onmouseover="alert(1)',
        "/a'b",
        "/a\r\nSet-Cookie: a=b",
        "/../x",
        "/a/./b",
        "/a//b",
        "/a?b",
        "/a#b",
        "/%2f%2fevil",
        "/<b>",
        "/é",
        "/" + "a/" * 30,
        ["/a", "/b"],
    ],
)
def test_a_prefix_that_is_no_clean_path_is_ignored_and_logged_once(value: str | list[str]) -> None:
    proxies = Proxies(TRUSTED)
    with capture_logs() as logs:
        for _ in range(3):
            assert proxies.corrected(scope(x_forwarded_prefix=value))["root_path"] == ""
    assert [(line["event"], line["header"]) for line in logs] == [("forwarded header ignored", "X-Forwarded-Prefix")]


@pytest.mark.parametrize("value", ["a b", "user@evil", "evil/path", "a:99999", "[::1", "'", "é.example"])
def test_an_invalid_host_or_scheme_is_ignored(value: str) -> None:
    found = corrected(scope(x_forwarded_host=value, x_forwarded_proto="javascript"))
    assert (host_of(found), found["scheme"]) == ("inside:8080", "http")


def test_a_target_in_absolute_form() -> None:
    given = {**scope(), "path": "http://Other:80/a b", "raw_path": b"http://Other:80/a%20b"}
    found = corrected(given, "/print")
    assert (found["path"], host_of(found)) == ("/a b", "Other:80")
    assert corrected({**scope(), "raw_path": b"HTTP://user@other"})["path"] == "/"


def test_clean_prefix() -> None:
    assert [clean_prefix(text) for text in ("", "/", "/a/", "/a/b.c", "a")] == ["", "", "/a", "/a/b.c", None]
