"""A server with TLS in front of another one, and certificates from a private authority, made by the openssl command."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """A private authority: the file of its own certificate, and those of a server's certificate and key."""

    certificate: Path
    server_certificate: Path
    server_key: Path


def new_authority(folder: Path, *, name: str = "IP:127.0.0.1", days: int = 2) -> Authority:
    """Return a new authority, and a certificate that it issued for `name`; one of -1 days is expired."""
    folder.mkdir(exist_ok=True)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Private authority")
    openssl("req", "-new", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    (folder / "names").write_text(f"subjectAltName={name}\n")
    issue = ("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    openssl(*issue, "-out", "server.pem", "-days", str(days), "-extfile", "names")
    return Authority(folder / "ca.pem", folder / "server.pem", folder / "server.key")


@contextmanager
def tls_in_front_of(address: str, authority: Authority) -> Iterator[str]:
    """Forward connections over TLS to the server at an http address; yields the https address."""
    host, _, port = address.removeprefix("http://").partition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_certificate, authority.server_key)
    threads: list[threading.Thread] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def forward(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                target.sendall(part)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve_one(accepted: socket.socket) -> None:
        with (
            closing(accepted),
            suppress(OSError),
            context.wrap_socket(accepted, server_side=True) as client,
            socket.create_connection((host, int(port))) as server,
        ):
            back = threading.Thread(target=forward, args=(server, client))
            back.start()
            forward(client, server)
            back.join()

    def serve() -> None:
        with suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                threads.append(threading.Thread(target=serve_one, args=(accepted,)))
                threads[-1].start()

    accepting = threading.Thread(target=serve)
    accepting.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (accepting, *threads):
            thread.join()
