"""The options of the command that serves the queues, wherever that command stands."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable
from typing import Any

import click

from emulator.server.serving import EmulatorSettings
from emulator.stores.interface import TOMBSTONE_SECONDS

_FILE = click.Path(exists=True, dir_okay=False)

OPTIONS = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.option("--port", default=5052, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."),
    click.option(
        "--store",
        default="sqlite:///queue.sqlite3",
        show_default=True,
        help="sqlite:///FILE, redis://…, rediss://… or redis+sentinel://….",
    ),
    click.option(
        "--processes",
        default=1,
        show_default=True,
        type=click.IntRange(1, 64),
        help="How many processes share the port and the store.",
    ),
    click.option("--queues", "queue_file", type=_FILE, help="queue.yaml: the queues that there are."),
    click.option("--token-file", type=_FILE, help="EMAIL: TOKEN, a line each; who may do what."),
    click.option(
        "--tombstone-seconds",
        default=TOMBSTONE_SECONDS,
        show_default=True,
        type=click.IntRange(0, 604_800),
        help="How long a deleted task's name stays taken.",
    ),
    click.option("--test-verbs", is_flag=True, help="Serve /admin/reset and /admin/clock, for tests."),
)


def with_emulator_options(command: Callable[[EmulatorSettings], None]) -> Callable[..., None]:
    """Return the command with these options; it is given the settings."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        command(EmulatorSettings(**options))

    wrapped: Callable[..., None] = run
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def openness(settings: EmulatorSettings) -> str:
    """Return a sentence on who may use the queues, to be said at the start."""
    if settings.token_file:
        return f"queues are open to the holders of the tokens in {settings.token_file}"
    if _is_loopback(settings.host):
        return f"no --token-file: queues are open to every program on this machine ({settings.host} only)"
    return f"no --token-file: queues are open to EVERYBODY who reaches {settings.host}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
