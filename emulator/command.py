"""The command that runs the queue service: `python -m emulator`, and `render-trio emulator`."""

from __future__ import annotations

import ipaddress
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from emulator.server.listening import ListenError
from emulator.server.processes import ChildFailedError, run
from emulator.settings import MAX_KEEP_ALIVE, MIN_KEEP_ALIVE, EmulatorSettings
from emulator.stores.interface import StoreUnavailableError
from emulator.stores.redaction import RedactingFormatter, redacted
from emulator.wire.errors import first_error

LOG_FORMAT = "%(levelname)s %(name)s: %(message)s"
DEFAULTS = EmulatorSettings()
_FILE = click.Path(exists=True, dir_okay=False)

Decorator = Callable[[Any], Any]


def _option(name: str, *declarations: str, prefix: str = "", **attributes: Any) -> Decorator:
    """Return the option `--name`, also set by EMULATOR_NAME. `prefix` is part of the option's name only."""
    variable = f"EMULATOR_{name.replace('-', '_').upper()}"
    return click.option(f"--{prefix}{name}", *declarations, envvar=variable, show_envvar=True, **attributes)


def _listed(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    """Return the entries of a value, which are separated by commas."""
    return tuple(entry for part in value.split(",") if (entry := part.strip()))


def environment_options(prefix: str = "") -> tuple[Decorator, ...]:
    """Return the options that `render-trio up` has too. Their names begin with `prefix` there, such as `queue-`."""
    return (
        _option(
            "keep-alive-seconds",
            prefix=prefix,
            default=DEFAULTS.keep_alive_seconds,
            show_default=True,
            type=click.IntRange(MIN_KEEP_ALIVE, MAX_KEEP_ALIVE),
            help="Seconds after which an idle connection is closed. A load balancer must close its own earlier.",
        ),
        _option(
            "legacy-shapes",
            prefix=prefix,
            is_flag=True,
            help="Use the reply formats of older Task Queue clients.",
        ),
    )


OPTIONS: tuple[Decorator, ...] = (
    _option("host", default=DEFAULTS.host, show_default=True, help="Address to listen on."),
    _option(
        "port",
        default=DEFAULTS.port,
        show_default=True,
        type=click.IntRange(0, 65535),
        help="Port to listen on; 0 selects a free port.",
    ),
    _option(
        "store",
        default=DEFAULTS.store,
        show_default=True,
        help="Where tasks are stored: sqlite:///FILE, redis://…, rediss://… or redis+sentinel://….",
    ),
    _option("store-file", type=_FILE, help="File that contains the URL for --store, such as one with a password."),
    _option(
        "processes",
        default=DEFAULTS.processes,
        show_default=True,
        type=click.IntRange(1, 64),
        help="Number of processes that share the port and the store.",
    ),
    _option("queues", "queue_file", type=_FILE, help="queue.yaml that defines the queues and their access."),
    _option("token-file", type=_FILE, help="YAML file with one EMAIL: TOKEN per line; enables access control."),
    _option(
        "max-queues",
        default=DEFAULTS.max_queues,
        show_default=True,
        type=click.IntRange(1, 1_000_000),
        help="Number of queues that clients can create without --queues.",
    ),
    _option(
        "allowed-hosts",
        default="",
        callback=_listed,
        help="Further host names of the queue, separated by commas; .example.org includes all subdomains.",
    ),
    _option(
        "trusted-proxies",
        default="",
        callback=_listed,
        help="Addresses and networks, separated by commas, of reverse proxies whose X-Forwarded headers are used.",
    ),
    _option("root-path", default="", help="Path under which a reverse proxy serves the queue, such as /queue."),
    _option(
        "tombstone-seconds",
        default=DEFAULTS.tombstone_seconds,
        show_default=True,
        type=click.IntRange(0, 604_800),
        help="Seconds for which the ID of a deleted task stays reserved.",
    ),
    _option("test-verbs", is_flag=True, help="Enable /admin/reset and /admin/clock, for tests."),
    *environment_options(),
)


def create_command(configure_logging: Callable[[], None]) -> click.Command:
    """Return the command `emulator`. `configure_logging` is called before anything is logged.

    The command reports an invalid setting, an unreachable store or a port in use as one line, with exit code 1.
    """

    @click.command("emulator")
    def emulator(**options: Any) -> None:
        """Run the queue service: pull queues (Task Queue v1beta2, Cloud Tasks v2beta2) on SQLite or Redis."""
        if not hasattr(os, "fork"):  # Windows
            raise click.ClickException("this command needs Linux or macOS; on Windows, run it in WSL or in a container")
        settings = EmulatorSettings(**_with_store(options))
        configure_logging()
        click.echo(access_notice(settings), err=True)
        failure: click.ClickException | None = None
        try:
            run(settings, lambda address: click.echo(f"listening on {address}"))
        except* (ValueError, OSError, StoreUnavailableError, ChildFailedError, ListenError) as group:
            # In one line: the name of a file can contain line breaks.
            failure = click.ClickException(" ".join(redacted(str(first_error(group))).splitlines()))
        # Not raised above: Python before 3.11.4 wraps an exception that is raised in `except*` in a group.
        if failure is not None:
            raise failure

    for option in OPTIONS:
        emulator = option(emulator)
    return emulator


def _with_store(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with the URL from the file of --store-file, if there is one, as --store.

    An argument takes precedence over an environment variable. Raises ClickException.
    """
    file = options.pop("store_file")
    if file is None:
        return options
    source = click.get_current_context().get_parameter_source
    given = source("store")
    if given is source("store_file"):
        raise click.ClickException("--store and --store-file are both set; set one of them")
    if given is ParameterSource.COMMANDLINE:
        return options
    try:
        url = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"--store-file {file} can't be read: {type(error).__name__}") from None
    if not url or any(character.isspace() for character in url):
        raise click.ClickException(f"--store-file {file} contains no URL; allowed: the URL of a store on one line")
    return options | {"store": url}


def access_notice(settings: EmulatorSettings) -> str:
    """Return the sentence, printed at startup, that states which clients have access to the queues."""
    if settings.token_file:
        return f"queues are open to the holders of the tokens in {settings.token_file}"
    if _is_loopback(settings.host):
        return f"no --token-file: queues are open to every program on this machine ({settings.host} only)"
    return f"no --token-file: queues are open to EVERY client that can reach {settings.host}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _configure_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(LOG_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


main = create_command(_configure_logging)
