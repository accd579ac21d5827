"""`render-trio results`: results in a queue → PDFs in a folder or on standard output, acknowledged once written."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import click
import trio

from render_trio.cli import output
from render_trio.cli.errors import PathError, naming, report_errors
from render_trio.cli.options import as_json
from render_trio.cli.producing.connecting import EXIT_INCOMPLETE, interruption, with_queue
from render_trio.errors import QueueUnavailableError, RenderTrioError
from render_trio.queue.links import Links
from render_trio.queue.messages import RESULT_TAG
from render_trio.queue.records import Records
from render_trio.queue.results import (
    LEASE_SECONDS,
    RELEASE_SECONDS,
    RESULT_COUNT,
    Received,
    ResultStream,
    Unavailable,
)
from render_trio.queue.task_queue.client import TaskQueue
from render_trio.queue.task_queue.transport import LoopTransport
from render_trio.service.startup import make_folder
from render_trio.settings.settings import Settings

STDOUT = Path("-")
RETRY_SECONDS = 1.0  # between attempts to reach the queue, with --follow
INITIAL_REPORT_SECONDS, MAX_REPORT_SECONDS = 10.0, 600.0  # between two reports that it can't be reached
CLOSE_SECONDS = 5.0  # to release results that were leased but not written


class NoDocumentError(RenderTrioError):
    """There is no document to write to standard output."""


@click.command(name="results")
@click.option(
    "--out",
    type=click.Path(file_okay=False, allow_dash=True, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Folder for the PDFs, created if necessary; or - to write one PDF to standard output.",
)
@click.option(
    "--follow", is_flag=True, help="Keep waiting for results until Ctrl-C, also while the queue can't be reached."
)
@click.option(
    "--wait",
    default=5,
    show_default=True,
    type=click.IntRange(0, 60),
    help="Seconds to wait for the first result. Not used with --follow.",
)
@click.option("--tag", default=RESULT_TAG, show_default=True, help="Tag of the results: the reply_tag of their tasks.")
@as_json
@report_errors(OSError)
def results_command(out: Path, follow: bool, wait: int, tag: str, as_json: bool) -> None:
    """Fetch results from a queue, and write their PDFs to --out.

    Prints one line per result: the task's ID, then the file or the error. A result is deleted from the queue after its
    file has been written. Stops when there are no more results.

    A document behind a link is downloaded and checked; if that fails for now, its result stays in the queue for a
    minute or more. A result that can't be read, or whose document is damaged, is kept in the folder's subfolder
    `rejected`. The folder `.render-trio` has what `render-trio submit --stale` needs.

    With `--out -`, the first document is written to standard output, and the command stops; the other results stay in
    the queue. Reports go to stderr then. If there is no document at all, that is an error.

    \b
    Environment variables:
      QUEUE_URL          URL of the queue service   [default: http://127.0.0.1:5052]
      PROJECT_NAME       project of the queue       [default: render]
      QUEUE_NAME         name of the queue          [default: render]
      QUEUE_TOKEN        token for the queue, if it requires one
      QUEUE_TOKEN_FILE   file with the token, in place of QUEUE_TOKEN
      QUEUE_CA_FILE      PEM file with authorities to trust, for a queue with a certificate from a private one
      DOCUMENT_STORE     the service's folder for large documents, if links to it are file:// URLs

    \b
    Exit codes:
      0    all results had documents, or there were no results
      1    an error; results that were not written stay in the queue
      2    wrong usage
      3    some results were failures, could not be read, or were left in the queue
    """
    to_stdout = out == STDOUT
    if to_stdout and follow:
        raise click.UsageError("--out - writes one document; leave out --follow")
    wait_seconds = None if follow else wait
    if not to_stdout:
        with naming("--out", out):  # before any result is leased
            make_folder(out)
    fetching = Fetching(None if to_stdout else out, tag, as_json)
    with_queue(lambda queue, chosen: fetching.run(queue, chosen, wait_seconds))
    if fetching.incomplete:
        raise SystemExit(EXIT_INCOMPLETE)
    if to_stdout and not fetching.written:
        raise NoDocumentError(f"the queue has no result with the tag {tag!r}")


class Outage:
    """Reports that the queue can't be reached: at once, then at intervals that double, and when it is over."""

    def __init__(self, report: Callable[[str], None] = lambda line: click.echo(line, err=True)) -> None:
        self._report = report
        self._interval = INITIAL_REPORT_SECONDS
        self._next_report = -math.inf

    async def failed(self, error: QueueUnavailableError) -> None:
        """Report the error if it is time, and pause before the next attempt."""
        now = trio.current_time()
        if now >= self._next_report:
            self._report(f"Warning: {error}; trying again")
            self._next_report = now + self._interval
            self._interval = min(MAX_REPORT_SECONDS, self._interval * 2)
        await trio.sleep(RETRY_SECONDS)

    def ended(self) -> None:
        """Report the end of an outage that was reported."""
        if self._next_report > -math.inf:
            self._report("The queue answers again.")
        self._next_report, self._interval = -math.inf, INITIAL_REPORT_SECONDS


class Fetching:
    """Takes results until there are no more, or until a document was written to standard output.

    written: number of documents that were written.
    incomplete: number of results that need attention: failures, rejected ones, and those left in the queue.
    """

    def __init__(self, folder: Path | None, tag: str, as_json: bool) -> None:
        """`folder`: where documents are saved; None writes one to standard output."""
        self.written = 0
        self.incomplete = 0
        self._folder = folder
        self._records = None if folder is None else Records(folder)
        self._tag = tag
        self._as_json = as_json

    async def run(self, queue: TaskQueue, chosen: Settings, wait: float | None) -> None:
        """Fetch results until none arrives within `wait` s, or until a signal; None: until a signal.

        Raises QueueError, and PathError or OSError if a document can't be written; its result stays in the queue.
        """
        store = None if chosen.document_store is None else chosen.document_store / chosen.bucket_save_directory
        transport = LoopTransport(chosen.queue_ca_file)
        links = Links(transport, store)
        count = RESULT_COUNT if self._folder is not None else 1
        outage = Outage()
        stream = ResultStream(
            queue, links, transport, self._left, tag=self._tag, wait=wait, lease_seconds=LEASE_SECONDS, count=count
        )
        try:
            async with interruption(at_once=True):
                while True:
                    try:
                        received = await stream.next()
                    except QueueUnavailableError as error:
                        if wait is not None:
                            raise
                        await outage.failed(error)
                        continue
                    outage.ended()
                    if received is None:
                        break
                    # A signal must not separate writing from acknowledging; requests to the queue end by themselves.
                    with trio.CancelScope(shield=True):
                        await self._take(queue, received)
                    if self._folder is None and self.written:
                        break
                    stream.wait = wait if wait is None else 0
        finally:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):
                await stream.release_rest()
                await links.aclose()

    async def _take(self, queue: TaskQueue, received: Received) -> None:
        if received.broken and self._folder is None:
            await queue.release(received.leased, RELEASE_SECONDS)
            self._report(received, None, complete=False)
            return
        try:
            with nullcontext() if self._folder is None else naming("--out", self._folder):
                path = self._write(received)
        except (OSError, PathError):
            await queue.release(received.leased)
            raise
        self._report(received, path, complete=received.success)
        await queue.delete(received.leased.id)
        if self._records is not None:
            self._records.finish(received.task_id)

    def _write(self, received: Received) -> Path | None:
        """Write what a result contains, and return the file, if any. Raises OSError."""
        if self._records is None or self._folder is None:
            if received.document is not None:
                sys.stdout.buffer.write(received.document)
                sys.stdout.buffer.flush()
                self.written += 1
            return None
        if received.broken:
            return received.set_aside(self._folder)
        if not received.success:
            return None
        stored = self._records.store(received, self._tag)
        self.written += 1
        if stored.kept is not None:
            click.echo(f"Warning: {stored.kept} was changed since it was drawn, so it was not replaced", err=True)
        return stored.path

    def _report(self, received: Received, path: Path | None, *, complete: bool) -> None:
        self.incomplete += not complete
        output.show_result(output.row_of(received, path), as_json=self._as_json, err=self._folder is None)

    def _left(self, found: Unavailable) -> None:
        """Report a result that was left in the queue, because its document can't be fetched now."""
        self.incomplete += 1
        output.show_result(output.unavailable_row(found), as_json=self._as_json, err=self._folder is None)
