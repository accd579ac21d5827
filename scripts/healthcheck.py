"""The image's health check: exits with 0 if the command that the container runs is healthy.

The first process of the container shows which command that is, and on which port it listens. Other commands, such as
`demo`, have no server: they are healthy as long as they run.
"""

from __future__ import annotations

import itertools
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

# For each command that serves: the variable with its port, the default, and the path to request. A queue whose store is
# full fails /health, but it must not be restarted: /readyz shows that workers can still drain it.
SERVERS = {
    "serve": ("PORT", "8080", "/health"),
    "emulator": ("QUEUE_PORT", "5052", "/readyz"),
    "up": ("", "8080", "/health"),
    "preview": ("", "8081", "/health"),
}
OPERATED = ("serve", "up")  # commands with the setting OPERATOR_PORT
TIMEOUT = 4.0  # s


def address(arguments: list[str], environment: Mapping[str, str]) -> str | None:
    """Return the URL of the health check for a command line; None if the command has no server."""
    command = next((argument for argument in arguments if argument in SERVERS), None)
    if command is None:
        return None
    variable, port, path = SERVERS[command]
    host = environment.get("HOST", "").strip() if command != "preview" else ""
    if environment.get(variable, "").strip().isdigit():
        port = environment[variable].strip()
    for name, value in _options(arguments):
        port = value if name == "--port" else port
        host = value if name == "--host" else host
    if command in OPERATED:  # /health is on the operator's port, if there is one
        operator = {name: environment.get(name, "").strip() for name in ("OPERATOR_PORT", "OPERATOR_HOST")}
        for name, value in _options(arguments):
            operator |= {name.removeprefix("--").replace("-", "_").upper(): value} if name.startswith("--op") else {}
        if operator["OPERATOR_PORT"].isdigit():
            port, host = operator["OPERATOR_PORT"], operator["OPERATOR_HOST"] or host
    port = environment.get("HEALTH_PORT") or port
    # A server that listens on all addresses, or on those of a name, answers on the loopback address.
    host = host.strip("[]")
    if host in ("", "0.0.0.0", "localhost") or "://" in host:
        host = "127.0.0.1"
    host = "::1" if host == "::" else host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


def _options(arguments: list[str]) -> list[tuple[str, str]]:
    joined = (argument.partition("=") for argument in arguments if "=" in argument)
    return [*itertools.pairwise(arguments), *((name, value) for name, _, value in joined)]


def main(process: str = "1") -> int:
    """Check the process with this ID."""
    command_line = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    url = address(command_line, os.environ)
    if url is None:
        return 0
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=TIMEOUT) as response:
            return 0 if response.status == 200 else 1
    except (OSError, urllib.error.URLError) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
