"""An exception of httpx → its reason in words, for logs and errors, and what to set if that helps."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpx

from render_trio.credentials.redaction import redacted

# The exceptions of httpx that a fault of the network or the server causes. RemoteProtocolError (a connection closed
# without a response) is not a NetworkError in httpx's hierarchy; an invalid redirect raises InvalidURL.
NETWORK_FAULTS = (
    httpx.TransportError,
    httpx.DecodingError,
    httpx.StreamError,
    httpx.TooManyRedirects,
    httpx.InvalidURL,
)
HOSTNAME_MISMATCH, IP_MISMATCH = 62, 64  # X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH in OpenSSL
EXPIRED, NOT_YET_VALID = 10, 9


def reason_of(fault: Exception) -> str:
    """Return the type and the message of a fault, in one line; a fault without a message has that of its cause."""
    for error in _causes(fault):
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate was rejected ({error.verify_message}); {_advice(error.verify_code)}"
        if isinstance(error, ssl.SSLError) and error.reason:
            return f"{type(fault).__name__}: TLS failed: {error.reason.replace('_', ' ').lower()}"
    text = next((str(error) for error in _causes(fault) if str(error)), "")
    return redacted(f"{type(fault).__name__}: {text}" if text else type(fault).__name__)


def _causes(fault: BaseException) -> Iterator[BaseException]:
    """Yield the exception and those that caused it, first those inside a group."""
    seen: set[int] = set()
    waiting = [fault]
    while waiting:
        error = waiting.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        waiting += [cause for cause in (error.__context__, error.__cause__, *inner) if cause is not None]


def _advice(code: int) -> str:
    if code in (HOSTNAME_MISMATCH, IP_MISMATCH):
        return "use the name that the certificate was issued for"
    if code in (EXPIRED, NOT_YET_VALID):
        return "renew it, or correct the clock of this machine"
    return "if a private authority issued it, set QUEUE_CA_FILE or SSL_CERT_FILE to a PEM file with its certificate"
