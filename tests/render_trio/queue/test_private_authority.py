"""A queue behind TLS with a certificate from a private authority: which certificates are trusted, and the errors."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from render_trio import AsyncClient, Client, QueueError
from render_trio.errors import CredentialsError
from tests.render_trio.cli.producing.running import invoke
from tests.render_trio.queue.producing import Inbox
from tests.tls_proxy import Authority, new_authority, tls_in_front_of


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secured(inbox: Inbox, authority: Authority) -> Iterator[str]:
    with tls_in_front_of(inbox.address, authority) as address:
        yield address


def test_a_client_trusts_the_authority_in_its_ca_file(secured: str, inbox: Inbox, authority: Authority) -> None:
    with Client(secured, queue=inbox.name, ca_file=authority.certificate) as client:
        task_id = client.submit("grid")
    assert inbox.ids() == [task_id]


def test_an_asynchronous_client_trusts_it_too(secured: str, inbox: Inbox, authority: Authority) -> None:
    async def submit() -> str:
        async with AsyncClient(secured, queue=inbox.name, ca_file=authority.certificate) as client:
            return await client.submit("grid")

    task_id = trio.run(submit)
    assert inbox.ids() == [task_id]


@pytest.mark.parametrize("server_certificate", [True, False])
def test_a_file_with_the_certificate_of_the_server_alone_is_enough(
    secured: str, inbox: Inbox, authority: Authority, server_certificate: bool
) -> None:
    file = authority.server_certificate if server_certificate else authority.certificate
    with Client(secured, queue=inbox.name, ca_file=file) as client:
        assert client.submit("grid")


@pytest.mark.parametrize("variable", ["QUEUE_CA_FILE", "SSL_CERT_FILE"])
def test_the_commands_trust_the_authority_in_an_environment_variable(
    secured: str, inbox: Inbox, authority: Authority, variable: str, tmp_path: Path
) -> None:
    settings = {"QUEUE_URL": secured, variable: str(authority.certificate)}
    assert invoke(inbox, "submit", "grid", **settings).exit_code == 0
    assert len(inbox.ids()) == 1
    assert invoke(inbox, "results", "--wait", "0", "--out", str(tmp_path / "out"), **settings).exit_code == 0


def test_a_folder_of_authorities_is_trusted(
    secured: str, inbox: Inbox, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["openssl", "x509", "-hash", "-noout", "-in", str(authority.certificate)]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / f"{name}.0").write_bytes(authority.certificate.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with Client(secured, queue=inbox.name) as client:
        assert client.submit("grid")


@pytest.mark.parametrize("blocking", [True, False])
def test_an_unknown_authority_is_reported_with_the_settings_that_help(
    secured: str, inbox: Inbox, blocking: bool
) -> None:
    def submit() -> None:
        with Client(secured, queue=inbox.name) as client:
            client.submit("grid")

    async def submit_on_a_loop() -> None:
        async with AsyncClient(secured, queue=inbox.name) as client:
            await client.submit("grid")

    attempt = submit if blocking else partial(trio.run, submit_on_a_loop)
    expected = r"certificate was rejected .*unable to get local issuer.*QUEUE_CA_FILE or SSL_CERT_FILE"
    with pytest.raises(QueueError, match=expected):
        attempt()


@pytest.mark.parametrize(("name", "days", "expected"), [
    ("DNS:queue.example.org", 2, "use the name that the certificate was issued for"),
    ("IP:127.0.0.1", -1, "renew it"),
])  # fmt: skip
def test_a_certificate_for_another_name_and_an_expired_one_have_other_advice(
    inbox: Inbox, tmp_path: Path, name: str, days: int, expected: str
) -> None:
    authority = new_authority(tmp_path / "authority", name=name, days=days)
    with (
        tls_in_front_of(inbox.address, authority) as address,
        Client(address, queue=inbox.name, ca_file=authority.certificate) as client,
        pytest.raises(QueueError, match=expected),
    ):
        client.submit("grid")


def test_a_server_without_tls_is_reported_as_such(inbox: Inbox) -> None:
    with (
        Client(inbox.address.replace("http", "https"), queue=inbox.name) as client,
        pytest.raises(QueueError, match="TLS failed: "),
    ):
        client.submit("grid")


@pytest.mark.parametrize("variable", ["QUEUE_CA_FILE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_certificates_is_reported_with_its_setting(
    inbox: Inbox, tmp_path: Path, variable: str, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    done = invoke(inbox, "submit", "grid", **{variable: str(file)})
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {variable} is {str(file)!r}: it ")


@pytest.mark.parametrize("argument", ["ca_file", "token_file"])
def test_a_client_reports_an_unusable_file_when_it_is_created(tmp_path: Path, argument: str) -> None:
    with pytest.raises(CredentialsError, match=f"QUEUE_{argument.upper()}"):
        Client(**{argument: tmp_path / "missing"})


def test_a_running_program_keeps_the_certificates_of_a_file_that_vanishes(
    secured: str, inbox: Inbox, authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.certificate.read_bytes())
    Client(ca_file=file).close()
    file.unlink()
    with Client(secured, queue=inbox.name, ca_file=file) as client:
        assert client.submit("grid")
    other = new_authority(tmp_path / "other")
    file.write_bytes(other.certificate.read_bytes())
    with Client(secured, queue=inbox.name, ca_file=file) as client, pytest.raises(QueueError, match="certificate"):
        client.submit("grid")
