"""The command line: wiring only. What a program may read goes to standard output, everything else to the other."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import trio

from emulator.command import create_command
from emulator.server import processes, serving
from emulator.settings import EmulatorSettings
from emulator.stores.interface import StoreUnavailableError
from render_trio.cli import output
from render_trio.cli.demo import Printed
from render_trio.cli.demo import run as run_demo
from render_trio.errors import RenderTrioError, first_error
from render_trio.observation.versions import __version__
from render_trio.queue.producer import Received, submit, take_results, task_values
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.rendering.pipeline import produce
from render_trio.service import composition, logs, process, service
from render_trio.service.shutdown import Signals
from render_trio.settings import settings
from render_trio.settings.settings import SettingError, Settings
from resources.parsing import RequestError, find_resource
from resources.registry import CATALOGUE

EXPECTED = (
    RenderTrioError,
    RequestError,
    SettingError,
    StoreUnavailableError,
    processes.ChildFailedError,
    OSError,
    ValueError,
)
FOLLOW_WAIT = 20


def report_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with what a user can mend told in one line, not in a traceback."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except* EXPECTED as group:
            raise click.ClickException(str(first_error(group))) from None

    return run


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for every setting; it is given the `Settings` as `chosen`."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        given = {setting.field: options.pop(setting.field) for setting in settings.TABLE}
        command(chosen=settings.read(os.environ, given), **options)

    wrapped: Callable[..., None] = run
    for setting in reversed(settings.TABLE):
        wrapped = click.option(setting.option, setting.field, help=setting.help, metavar="VALUE")(wrapped)
    return wrapped


def options_given(pairs: tuple[str, ...]) -> Mapping[str, object]:
    """Return the key=value pairs as a mapping."""
    values: dict[str, object] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise click.BadParameter(f"{pair[:60]!r} is not key=value", param_hint="-o")
        values[name] = value
    return values


option_pairs = click.option("-o", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of the resource.")
as_json = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="render-trio")
def main() -> None:
    """Printable classroom resources: from a task on a queue to a PDF."""


@main.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out"), show_default=True)
@click.option("--stay", is_flag=True, help="Let queue and service go on until Ctrl-C, for a look with a browser.")
@as_json
@report_errors
def demo(out: Path, stay: bool, as_json: bool) -> None:
    """Start a queue and a service, print one document per resource into --out, and end."""
    logs.configure("console", "warning")

    def stayed(printed: list[Printed], address: str, queue_url: str) -> None:
        bar.close()
        output.show_printed(_rows(printed), as_json)
        click.echo(f"service: {address}\nqueue:   {queue_url}\nCtrl-C ends both.", err=as_json)

    with ExitStack() as bar:
        advance = bar.enter_context(output.progress(len(CATALOGUE), "Printing"))
        printed = trio.run(run_demo, out, lambda _: advance(), stayed if stay else None)
    if not stay:
        output.show_printed(_rows(printed), as_json)
    if any(not one.received.result.success for one in printed):
        raise click.ClickException("not every resource could be printed")


def _rows(printed: list[Printed]) -> list[tuple[str, Received, float]]:
    return [(one.view, one.received, one.seconds) for one in sorted(printed, key=lambda one: one.view)]


@main.command()
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Of the service.")
@click.option("--queue-port", default=5052, show_default=True, type=click.IntRange(0, 65535), help="Of the queue.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default=Path("data"), show_default=True)
@report_errors
def up(port: int, queue_port: int, data: Path) -> None:
    """Run queue and service until Ctrl-C; tasks and large documents lie in --data."""
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
            await service.run(chosen, signals=signals, task_status=task_status)
            nursery.cancel_scope.cancel()  # the queue goes last: leases are given back to it

        address = await nursery.start(run_service)
        click.echo(f"service: {address}\nqueue:   {queue_url}\nCtrl-C ends both.")


@main.command()
@report_errors
@with_settings
def serve(chosen: Settings) -> None:
    """Run the service alone, set up by environment variables or the options below."""
    code = process.main(chosen)
    if code:
        raise SystemExit(code)


main.add_command(create_command(lambda: logs.configure("console", "info")))


@main.command()
@click.argument("view")
@option_pairs
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The PDF to write.")
@report_errors
def render(view: str, pairs: tuple[str, ...], out: Path) -> None:
    """Draw one document, without a queue. What is not chosen takes its default."""
    request, _ = task_values(view, options_given(pairs))
    document = produce(request, lambda: None)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(document.pdf)
    click.echo(f"{out}: {document.pages} pages, {len(document.pdf)} bytes", err=True)


@main.command()
@click.argument("view", required=False)
@as_json
@report_errors
def resources(view: str | None, as_json: bool) -> None:
    """List the resources, or the options of one."""
    chosen = list(CATALOGUE.values()) if view is None else [find_resource(view)]
    output.show_resources(chosen, with_options=view is not None, as_json=as_json)


@main.command(name="submit")
@click.argument("view")
@option_pairs
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 1_000_000), help="Tasks to submit.")
@as_json
@report_errors
def submit_command(view: str, pairs: tuple[str, ...], count: int, as_json: bool) -> None:
    """Put tasks on the queue (QUEUE_URL, PROJECT_NAME, QUEUE_NAME); prints their ids."""
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
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out"), show_default=True)
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--wait", default=5, show_default=True, type=click.IntRange(0, 60), help="Seconds to wait for the first.")
@as_json
@report_errors
def results_command(out: Path, follow: bool, wait: int, as_json: bool) -> None:
    """Take results off the queue and write their PDFs to --out."""

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


def _with_queue(ask: Callable[[TaskQueue], Any]) -> Any:
    """Run `ask` with the queue that the environment names."""
    chosen = settings.read(os.environ)

    async def run() -> Any:
        async with composition.open_queue(chosen) as queue:
            return await ask(queue)

    return trio.run(run)
