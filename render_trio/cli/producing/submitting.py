"""`render-trio submit`: options, or documents that an upgrade changed → tasks in a queue, each ID printed at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click
import msgspec

from render_trio.cli import output
from render_trio.cli.errors import naming, report_errors
from render_trio.cli.options import as_json, option_pairs, options_given, view_argument
from render_trio.cli.producing.connecting import EXIT_INCOMPLETE, interruption, with_queue
from render_trio.cli.producing.stale import plan_submissions
from render_trio.errors import RenderTrioError
from render_trio.queue.producer import submit, task_values
from render_trio.queue.records import Records
from render_trio.queue.task_queue.client import TaskQueue


class InterruptedSubmissionError(RenderTrioError):
    """Not all tasks were submitted, because a signal arrived."""


@click.command(name="submit")
@view_argument(required=False)
@option_pairs
@click.option(
    "--count",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Number of tasks to submit, all with the same options.",
)
@click.option(
    "--stale",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Submit the documents in FOLDER again that the installed version draws differently, in place of VIEW.",
)
@as_json
@report_errors(OSError)
def submit_command(view: str | None, pairs: tuple[str, ...], count: int, stale: Path | None, as_json: bool) -> None:
    """Submit tasks to a queue, and print their IDs, one per line, each as soon as the queue has accepted it.

    VIEW is a resource, such as binary-cards; `render-trio resources` lists them. A running service draws the
    documents, and `render-trio results` fetches them.

    With --stale, the tasks are those of the documents in a folder that `render-trio results --out FOLDER` wrote, and
    whose resource was changed by an upgrade since. They are drawn with the same options and the same random content.
    The next `render-trio results --out FOLDER` replaces the files. What can't be submitted again is reported, and
    what was submitted before and not fetched yet is left out.

    With --json, the output is {"ids": [...]}, written ID by ID. Ctrl-C and SIGTERM end the command after the task
    that is being submitted, and the output is complete; a second signal ends it at once.

    \b
    Environment variables:
      QUEUE_URL          URL of the queue service   [default: http://127.0.0.1:5052]
      PROJECT_NAME       project of the queue       [default: render]
      QUEUE_NAME         name of the queue          [default: render]
      QUEUE_TOKEN        token for the queue, if it requires one
      QUEUE_TOKEN_FILE   file with the token, in place of QUEUE_TOKEN
      QUEUE_CA_FILE      PEM file with authorities to trust, for a queue with a certificate from a private one

    \b
    Exit codes:
      0    all tasks were submitted
      1    an error, or interrupted; the tasks whose IDs were printed are in the queue
      2    wrong usage
      3    with --stale: some documents can't be submitted again; the others were
    """
    if (view is None) == (stale is None):
        raise click.UsageError("name either a resource (VIEW) or a folder (--stale FOLDER)")
    if view is not None:
        _, values = task_values(view, options_given(pairs))
        with_queue(lambda queue, _: _submit_all(queue, values, count, as_json))
        return
    if pairs or count != 1:
        raise click.UsageError("--stale takes the options from the records in its folder; leave out -o and --count")
    assert stale is not None
    if with_queue(lambda queue, _: _submit_stale(queue, stale, as_json)):
        raise SystemExit(EXIT_INCOMPLETE)


async def _submit_all(queue: TaskQueue, values: dict[str, Any], count: int, as_json: bool) -> None:
    accepted = 0
    with _printed_ids(as_json) as show, _progress(count) as advance:
        async with interruption(at_once=False) as interrupted:
            while accepted < count and not interrupted.requested:
                show(await submit(queue, values))
                accepted += 1
                advance()
    _raise_if_interrupted(accepted, count)


async def _submit_stale(queue: TaskQueue, folder: Path, as_json: bool) -> bool:
    """Submit the documents that are out of date, and return whether there are some that can't be."""
    records = Records(folder)
    with naming("--stale", folder):
        plan = plan_submissions(records)
    for problem in plan.problems:
        click.echo(f"Warning: {problem}", err=True)
    accepted = 0
    with _printed_ids(as_json) as show:
        async with interruption(at_once=False) as interrupted:
            for due in plan.due:
                if interrupted.requested:
                    break
                with naming("--stale", folder):
                    records.note(due.submission)
                await submit(queue, due.values, due.submission.task_id, generated=True)
                show(due.submission.task_id)
                with naming("--stale", folder):
                    records.note(msgspec.structs.replace(due.submission, accepted=True))
                accepted += 1
    click.echo(plan.summary(accepted), err=True)
    _raise_if_interrupted(accepted, len(plan.due))
    return bool(plan.problems)


def _raise_if_interrupted(accepted: int, count: int) -> None:
    if accepted < count:
        raise InterruptedSubmissionError(f"interrupted: {accepted} of {output.count(count, 'task')} were submitted")


@contextmanager
def _printed_ids(as_json: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that prints an ID at once. The output is complete even if an exception ends the block."""
    separator = "\n"

    def show(task_id: str) -> None:
        nonlocal separator
        if as_json:
            click.echo(f"{separator}  {json.dumps(task_id)}", nl=False)
            separator = ",\n"
        else:
            click.echo(task_id)

    if as_json:
        click.echo('{"ids": [', nl=False)
    try:
        yield show
    finally:
        if as_json:
            click.echo("\n]}")


def _progress(count: int) -> AbstractContextManager[Callable[[], None]]:
    """Show a progress bar, unless the IDs themselves appear on the terminal."""
    return nullcontext(lambda: None) if sys.stdout.isatty() else output.progress(count, "Submitting")
