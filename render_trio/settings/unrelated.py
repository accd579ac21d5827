"""Variables that other programs set and that have the name of a setting by chance → the reason to ignore them.

Kubernetes sets variables for each Service of a namespace in all its containers: for one named `queue`, QUEUE_PORT is
`tcp://10.0.0.1:5052`. conda's compilers set HOST to the platform that they compile for. Neither may keep the service
from starting, and neither can be meant for it: no setting accepts such a value, except that HOST would accept a
platform as a host name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from render_trio.credentials.redaction import shown_url

_LINK = re.compile(r"(tcp|udp|sctp)://\S+")
# "Environment variables" in Kubernetes' documentation of Services.
_LINK_NAME = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)", re.ASCII
)
_PLATFORM = re.compile(
    r"(x86_64|i[3-6]86|aarch64|arm64|armv[0-9]\w*|powerpc64le|ppc64le|riscv64|s390x)"
    r"-([\w.]+-)+(linux|darwin|mingw|windows|freebsd)[\w.]*(-\w+)?",
    re.ASCII,
)


def reason_to_ignore(name: str, value: str) -> str:
    """Return a warning if this value of the variable can't be meant for the service; empty if it can."""
    value = value.strip()
    if _LINK.fullmatch(value):
        return (
            f"{name} is ignored: {shown_url(value)[:60]!r} is the address of a Kubernetes Service or a linked container"
        )
    if name == "HOST" and _PLATFORM.fullmatch(value):
        return f"HOST is ignored: {value[:60]!r} is a compiler's platform, which conda sets"
    return ""


def is_service_variable(name: str, environment: Mapping[str, str]) -> bool:
    """Return whether Kubernetes has set this variable for a Service."""
    return bool(_LINK_NAME.fullmatch(name)) or bool(_LINK.fullmatch(environment[name]))
