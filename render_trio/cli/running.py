"""The commands that run something until it is stopped: `demo`, `up` and `serve`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click
import trio

from emulator.command import environment_options
from emulator.server import serving
from emulator.server.listening import ListenError
from emulator.settings import EmulatorSettings
from emulator.stores.interface import StoreUnavailableError
from render_trio.cli import output
from render_trio.cli.demo import Rendered
from render_trio.cli.demo import run as run_demo
from render_trio.cli.errors import naming, report_errors
from render_trio.cli.options import as_json, with_settings
from render_trio.service import logs, process
from render_trio.service.shutdown import Signals
from render_trio.service.startup import make_folder, require_unix
from render_trio.settings import reading
from render_trio.settings.settings import Settings
from resources.registry import CATALOGUE


@click.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for the PDFs. It is created if necessary.",
)
@click.option("--stay", is_flag=True, help="Keep queue and service running until Ctrl-C, to explore in a browser.")
@as_json
@report_errors(OSError, StoreUnavailableError, ListenError)
def demo(out: Path, stay: bool, as_json: bool) -> None:
    """Draw every resource once, through a queue and a service.

    Starts both on free ports, submits one task per resource, writes the PDFs to --out and stops. It needs no
    configuration and ignores environment variables.
    """
    require_unix()
    logs.configure("console", "warning")
    with naming("--out", out):  # before anything is started
        make_folder(out)

    def stayed(rendered: list[Rendered], address: str, queue_url: str) -> None:
        bar.close()
        output.show_rendered(_sorted(rendered), as_json)
        click.echo(_running(address, queue_url), err=as_json)

    with ExitStack() as bar:
        advance = bar.enter_context(output.progress(len(CATALOGUE), "Drawing"))
        rendered = trio.run(run_demo, out, lambda _: advance(), stayed if stay else None)
    if not stay:
        output.show_rendered(_sorted(rendered), as_json)
    failed = [one.view for one in rendered if not one.received.success]
    if failed:
        raise click.ClickException(f"could not be drawn: {', '.join(sorted(failed))}")


def _sorted(rendered: list[Rendered]) -> list[Rendered]:
    return sorted(rendered, key=lambda one: one.view)


def _running(address: str, queue_url: str) -> str:
    return f"service: {address}\nqueue:   {queue_url}\nPress Ctrl-C to stop both."


def queue_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with the options of the queue that environment variables set too."""
    for option in reversed(environment_options("queue-")):
        command = option(command)
    return command


@click.command()
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the service; 0 chooses a free one.",
)
@click.option(
    "--queue-port",
    default=5052,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of the queue; 0 chooses a free one.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data"),
    show_default=True,
    help="Folder for tasks (queue.sqlite3) and large documents (documents/). It is created if necessary.",
)
@queue_options
@report_errors(OSError, StoreUnavailableError, ListenError)
def up(port: int, queue_port: int, data: Path, queue_keep_alive_seconds: int, queue_legacy_shapes: bool) -> None:
    """Run a queue and a service together, until Ctrl-C.

    Tasks that are left are kept in --data for the next run. All other settings come from environment variables;
    `render-trio serve --help` lists them. PORT, DOCUMENT_STORE, LOG_FORMAT and those
    of another queue (QUEUE_URL, QUEUE_TOKEN, QUEUE_TOKEN_FILE, QUEUE_CA_FILE) are ignored.
    """
    require_unix()
    with naming("--data", data):
        make_folder(data)
    store = f"sqlite:///{data / 'queue.sqlite3'}"
    given = {"port": str(port), "document_store": str(data / "documents")}
    chosen = reading.read(os.environ, given)
    logs.configure("console", chosen.log_level)
    with Signals() as signals:
        queue_settings = EmulatorSettings(
            port=queue_port,
            port_option="--queue-port",
            store=store,
            keep_alive_seconds=queue_keep_alive_seconds,
            legacy_shapes=queue_legacy_shapes,
        )
        trio.run(_run_both, chosen, queue_settings, signals)


async def _run_both(chosen: Settings, queue_settings: EmulatorSettings, signals: Signals) -> None:
    async with trio.open_nursery() as nursery:
        queue_url = await nursery.start(serving.serve, queue_settings)
        own = {"queue_url": queue_url, "queue_token": "", "queue_token_file": None, "queue_ca_file": None}
        chosen = dataclasses.replace(chosen, api_discovery_url="", **own)

        async def run_service(task_status: trio.TaskStatus[str]) -> None:
            await process.run_until_signal(chosen, signals, task_status=task_status)
            nursery.cancel_scope.cancel()  # the queue stops last, because the service releases its leases to it

        address = await nursery.start(run_service)
        click.echo(_running(address, queue_url))


@click.command()
@report_errors(OSError)
@with_settings
def serve(chosen: Settings) -> None:
    """Run the service: lease tasks from a queue, draw them, deliver the results, and serve web pages.

    Every option can also be set by the environment variable of the same name: --task-count by TASK_COUNT. If both are
    set, the option wins. Times are in seconds and sizes in bytes, unless they have a unit: 250 ms, 2 min, 680 KiB.

    SIGTERM or Ctrl-C stops the service: it leases no more tasks, finishes those in progress within a time limit, and
    releases the rest. A second signal makes it exit immediately.

    \b
    Exit codes:
      0    stopped by a signal
      1    could not start, or could not recover from a failure; the reason is logged
      2    wrong usage
      70   shutdown took longer than SHUTDOWN_SECONDS
      130  exited immediately, after a second signal
    """
    require_unix()
    code = process.main(chosen)
    if code:
        raise SystemExit(code)
