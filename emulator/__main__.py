"""`python -m emulator`: the queue service alone."""

from __future__ import annotations

import logging
import sys

import click

from emulator.command import openness, with_emulator_options
from emulator.server.processes import ChildFailedError, run
from emulator.server.serving import EmulatorSettings
from emulator.stores.interface import StoreUnavailableError
from emulator.wire.errors import first_error


@click.command()
@with_emulator_options
def main(settings: EmulatorSettings) -> None:
    """Serve pull queues (Task Queue v1beta2, Cloud Tasks v2beta2) until SIGTERM."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    click.echo(openness(settings), err=True)
    try:
        run(settings, lambda address: click.echo(f"listening on {address}"))
    except* (ValueError, OSError, StoreUnavailableError, ChildFailedError) as group:
        raise click.ClickException(str(first_error(group))) from None


if __name__ == "__main__":
    main(prog_name="python -m emulator")
