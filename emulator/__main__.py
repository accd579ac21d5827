"""`python -m emulator`: the queue service alone."""

from __future__ import annotations

import logging
import sys

import click

from emulator.serving import EmulatorSettings, run
from emulator.store import StoreUnavailableError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=5052, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--store", default="sqlite:///queue.sqlite3", show_default=True, help="sqlite:///FILE or redis://….")
def main(host: str, port: int, store: str) -> None:
    """Serve pull queues (Task Queue v1beta2) until SIGTERM."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        run(EmulatorSettings(host, port, store), lambda address: click.echo(f"listening on {address}"))
    except* (ValueError, OSError, StoreUnavailableError) as group:
        raise click.ClickException(str(_first(group))) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group of groups: one line is enough for a start that failed."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    main(prog_name="python -m emulator")
