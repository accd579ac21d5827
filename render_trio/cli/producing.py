"""The commands for producers of tasks: `submit` and `results`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import trio

from render_trio.cli import output
from render_trio.cli.errors import report_errors
from render_trio.cli.options import as_json, option_pairs, options_given
from render_trio.queue.producer import Received, submit, take_results, task_values
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.service import composition
from render_trio.settings import settings

FOLLOW_WAIT = 20  # s that the queue may hold each request of `results --follow`


@click.command(name="submit")
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


@click.command(name="results")
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
