"""The commands of `render-trio`. Machine-readable output goes to stdout, the rest to stderr."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import trio

from emulator.command import create_command
from emulator.server import serving
from emulator.settings import EmulatorSettings
from emulator.stores.interface import StoreUnavailableError
from render_trio.cli import output
from render_trio.cli.authoring import new, preview
from render_trio.cli.demo import Rendered
from render_trio.cli.demo import run as run_demo
from render_trio.cli.errors import report_errors
from render_trio.cli.options import add_plugins, as_json, option_pairs, options_given, with_settings
from render_trio.observation.versions import __version__
from render_trio.queue.producer import Received, submit, take_results, task_values
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.rendering.pipeline import render as render_document
from render_trio.service import composition, logs, process
from render_trio.service.shutdown import Signals
from render_trio.settings import settings
from render_trio.settings.settings import Settings
from resources.parsing import find_resource
from resources.registry import CATALOGUE

LOGGING_COMMANDS = ("serve", "up", "emulator")  # they log what is wrong with plug-ins, if it concerns them
FOLLOW_WAIT = 20  # s that the queue may hold each request of `results --follow`


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="render-trio")
@click.option(
    "--plugins",
    multiple=True,
    metavar="FOLDER",
    envvar="PLUGIN_DIRECTORY",
    show_envvar=True,
    type=click.Path(path_type=Path),
    help="Add the resources of a folder: a plug-in package, or modules with a RESOURCE each. Can be repeated.",
)
@click.pass_context
def main(context: click.Context, plugins: tuple[Path, ...]) -> None:
    """Draw printable classroom resources as PDFs: at once, or as a service that works through a task queue.

    \b
    First steps:
      render-trio demo                         draw every resource into ./out
      render-trio resources                    list the resources
      render-trio resources grid               list the options of one
      render-trio render grid --out grid.pdf   draw one document
      render-trio up                           run a queue and a service
      render-trio new "My Cards"               write a resource of your own
      render-trio preview VIEW                 see it in a browser while you write it

    Exit codes: 0 for success, 1 for an error (the reason is on stderr), 2 for wrong usage. `serve` has more; see
    `render-trio serve --help`.
    """
    add_plugins(plugins, report=context.invoked_subcommand not in LOGGING_COMMANDS)


@main.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for the PDFs. It is created if necessary.",
)
@click.option("--stay", is_flag=True, help="Keep queue and service running until Ctrl-C, to explore in a browser.")
@as_json
@report_errors(OSError, StoreUnavailableError)
def demo(out: Path, stay: bool, as_json: bool) -> None:
    """Draw every resource once, through a queue and a service.

    Starts both on free ports, submits one task per resource, writes the PDFs to --out and stops. It needs no
    configuration and ignores environment variables.
    """
    logs.configure("console", "warning")
    out.mkdir(parents=True, exist_ok=True)  # reports an unusable folder before anything is started

    def stayed(rendered: list[Rendered], address: str, queue_url: str) -> None:
        bar.close()
        output.show_rendered(_rows(rendered), as_json)
        click.echo(_running(address, queue_url), err=as_json)

    with ExitStack() as bar:
        advance = bar.enter_context(output.progress(len(CATALOGUE), "Drawing"))
        rendered = trio.run(run_demo, out, lambda _: advance(), stayed if stay else None)
    if not stay:
        output.show_rendered(_rows(rendered), as_json)
    failed = [one.view for one in rendered if not one.received.result.success]
    if failed:
        raise click.ClickException(f"could not be drawn: {', '.join(sorted(failed))}")


def _rows(rendered: list[Rendered]) -> list[tuple[str, Received, float]]:
    return [(one.view, one.received, one.seconds) for one in sorted(rendered, key=lambda one: one.view)]


def _running(address: str, queue_url: str) -> str:
    return f"service: {address}\nqueue:   {queue_url}\nPress Ctrl-C to stop both."


@main.command()
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
@report_errors(OSError, StoreUnavailableError)
def up(port: int, queue_port: int, data: Path) -> None:
    """Run a queue and a service together, until Ctrl-C.

    Tasks that are left are kept in --data for the next run. All other settings come from environment variables;
    `render-trio serve --help` lists them. QUEUE_URL, PORT and DOCUMENT_STORE are ignored.
    """
    data.mkdir(parents=True, exist_ok=True)
    store = f"sqlite:///{data / 'queue.sqlite3'}"
    given = {"port": str(port), "document_store": str(data / "documents")}
    chosen = settings.read(os.environ, given)
    logs.configure("console", chosen.log_level)
    with Signals() as signals:
        legacy_shapes = os.environ.get("EMULATOR_LEGACY_SHAPES") == "1"
        queue_settings = EmulatorSettings(port=queue_port, store=store, legacy_shapes=legacy_shapes)
        trio.run(_run_both, chosen, queue_settings, signals)


async def _run_both(chosen: Settings, queue_settings: EmulatorSettings, signals: Signals) -> None:
    async with trio.open_nursery() as nursery:
        queue_url = await nursery.start(serving.serve, queue_settings)
        chosen = dataclasses.replace(chosen, queue_url=queue_url, api_discovery_url="")

        async def run_service(task_status: trio.TaskStatus[str]) -> None:
            await process.run_until_signal(chosen, signals, task_status=task_status)
            nursery.cancel_scope.cancel()  # the queue stops last, because the service releases its leases to it

        address = await nursery.start(run_service)
        click.echo(_running(address, queue_url))


@main.command()
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
    code = process.main(chosen)
    if code:
        raise SystemExit(code)


main.add_command(create_command(lambda: logs.configure("console", "info")))


@main.command()
@click.argument("view")
@option_pairs
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="PDF file to write; an existing file is replaced. Folders are created if necessary.",
)
@report_errors(OSError)
def render(view: str, pairs: tuple[str, ...], out: Path) -> None:
    """Draw one document to a file, without a queue or a service.

    VIEW is a resource, such as binary-cards; `render-trio resources` lists them. Options that are not given have
    their defaults.
    """
    document = render_document(view, **options_given(pairs))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(document.pdf)
    click.echo(f"{out}: {output.count(document.pages, 'page')}, {len(document.pdf)} bytes", err=True)


@main.command()
@click.argument("view", required=False)
@as_json
@report_errors()
def resources(view: str | None, as_json: bool) -> None:
    """List the resources, or the options of one (VIEW)."""
    chosen = list(CATALOGUE.values()) if view is None else [find_resource(view)]
    output.show_resources(chosen, with_options=view is not None, as_json=as_json)


main.add_command(new)
main.add_command(preview)


@main.command(name="submit")
@click.argument("view")
@option_pairs
@click.option(
    "--count",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Number of tasks to submit, all with the same options.",
)
@as_json
@report_errors()
def submit_command(view: str, pairs: tuple[str, ...], count: int, as_json: bool) -> None:
    """Submit tasks to a queue, and print their IDs, one per line.

    VIEW is a resource, such as binary-cards; `render-trio resources` lists them. A running service draws the
    documents, and `render-trio results` fetches them.

    \b
    Environment variables:
      QUEUE_URL      URL of the queue service   [default: http://127.0.0.1:5052]
      PROJECT_NAME   project of the queue       [default: render]
      QUEUE_NAME     name of the queue          [default: render]
    """
    _, values = task_values(view, options_given(pairs))

    async def submit_all(queue: TaskQueue) -> list[str]:
        with output.progress(count, "Submitting") as advance:
            ids = []
            for _ in range(count):
                ids.append(await submit(queue, values))
                advance()
        return ids

    ids = _with_queue(submit_all)
    click.echo(json.dumps({"ids": ids}) if as_json else "\n".join(ids))


@main.command(name="results")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for the PDFs. It is created if necessary.",
)
@click.option("--follow", is_flag=True, help="Keep waiting for results until Ctrl-C.")
@click.option(
    "--wait",
    default=5,
    show_default=True,
    type=click.IntRange(0, 60),
    help="Seconds to wait for the first result. Not used with --follow.",
)
@as_json
@report_errors(OSError)
def results_command(out: Path, follow: bool, wait: int, as_json: bool) -> None:
    """Fetch results from a queue, and write their PDFs to --out.

    Prints one line per result: the task's ID, then the file, the link or the error. A result is deleted from the
    queue after its file has been written. Stops when there are no more results. A failed task doesn't change the
    exit code; with --json, "success" is false.

    \b
    Environment variables:
      QUEUE_URL      URL of the queue service   [default: http://127.0.0.1:5052]
      PROJECT_NAME   project of the queue       [default: render]
      QUEUE_NAME     name of the queue          [default: render]
    """

    async def take_all(queue: TaskQueue) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_on_signal, signals, nursery.cancel_scope)
                batch: list[Received] = await take_results(queue, out, wait=FOLLOW_WAIT if follow else wait)
                while batch or follow:
                    for received in batch:
                        output.show_received(received, as_json)
                    batch = await take_results(queue, out, wait=FOLLOW_WAIT if follow else 0)
                nursery.cancel_scope.cancel()

    _with_queue(take_all)


async def _cancel_on_signal(signals: Any, scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()


def _with_queue(use: Callable[[TaskQueue], Any]) -> Any:
    """Return what `use` returns for the queue that the environment variables name."""
    chosen = settings.read(os.environ)
    for warning in settings.former_names(os.environ):
        click.echo(f"Warning: {warning}", err=True)

    async def run() -> Any:
        async with composition.open_queue(chosen) as queue:
            return await use(queue)

    return trio.run(run)
