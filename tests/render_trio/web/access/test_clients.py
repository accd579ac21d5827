"""A client can't get more quota with more addresses, and clients that share none aren't counted together."""

from __future__ import annotations

import pytest

from render_trio.web.access.clients import UNKNOWN, client_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("fe80::1%eth0", "fe80::2%wlan0"),
    ],
)
def test_addresses_of_one_machine_are_one_client(one: str, other: str) -> None:
    assert client_name(one) == client_name(other) != UNKNOWN


@pytest.mark.parametrize(
    ("one", "other"),
    [("192.0.2.7", "192.0.2.8"), ("2001:db8:1:2::1", "2001:db8:1:3::1"), ("::ffff:192.0.2.7", "::ffff:192.0.2.8")],
)
def test_addresses_of_different_networks_are_different_clients(one: str, other: str) -> None:
    assert client_name(one) != client_name(other)


@pytest.mark.parametrize("address", [None, "", "unix:", "testclient", "192.0.2.7, 192.0.2.8", "x" * 100_000])
def test_without_a_valid_address_the_client_is_unknown(address: str | None) -> None:
    assert client_name(address) == UNKNOWN
