"""The certificate authorities to trust → a TLS configuration for clients.

The trusted authorities are those of the files in SSL_CERT_FILE and SSL_CERT_DIR, as in OpenSSL, or certifi's without
these variables. An authority of one's own, from QUEUE_CA_FILE, is trusted in addition. Loading them takes 20 ms, so the
result is kept.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import httpx

from render_trio.errors import CredentialsError

Files = tuple[tuple[str, str], ...]  # the setting and the path of each
_contexts: dict[tuple[Files, str], tuple[list[tuple[int, int]], ssl.SSLContext]] = {}


def trusting(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return the TLS configuration; `ca_file`: a PEM file with more authorities.

    Raises CredentialsError if a file can't be used, unless it could be used before: a running service keeps working.
    """
    named = (("QUEUE_CA_FILE", str(ca_file or "")), ("SSL_CERT_FILE", os.environ.get("SSL_CERT_FILE", "")))
    files, folder = tuple((name, path) for name, path in named if path), os.environ.get("SSL_CERT_DIR", "")
    kept = _contexts.get((files, folder))
    try:
        versions = [_version(name, path) for name, path in files]
        if kept is None or kept[0] != versions:
            kept = _contexts[files, folder] = versions, _context(files, folder)
    except CredentialsError:
        if kept is None:
            raise
    return kept[1]


def _context(files: Files, folder: str) -> ssl.SSLContext:
    usual = not folder and all(name != "SSL_CERT_FILE" for name, _ in files)
    context = httpx.create_ssl_context(trust_env=False) if usual else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # From Python 3.13 on, the default rejects authorities without extensions that many private ones lack.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a file may have only the server's own certificate
    for name, path in files:
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise _unusable(name, path, "it has no certificate in PEM format") from error
    if folder:
        context.load_verify_locations(capath=folder)
    return context


def _version(name: str, path: str) -> tuple[int, int]:
    """Return what changes when the file is replaced. Raises CredentialsError."""
    try:
        with Path(path).open("rb") as file:
            found = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        raise _unusable(name, path, f"it can't be read: {getattr(error, 'strerror', error)}") from error
    return found.st_ino, found.st_mtime_ns


def _unusable(name: str, path: str, reason: str) -> CredentialsError:
    return CredentialsError(f"{name} is {path[:200]!r}: {reason}")
