"""The commands of `render-trio`. Machine-readable output goes to stdout, the rest to stderr."""

from __future__ import annotations

from pathlib import Path

import click

from emulator.command import create_command
from render_trio.cli.authoring import new, preview
from render_trio.cli.drawing import render, resources
from render_trio.cli.options import add_plugins, plugin_folders
from render_trio.cli.producing import results_command, submit_command
from render_trio.cli.running import demo, serve, up
from render_trio.observation.versions import __version__
from render_trio.service import logs

LOGGING_COMMANDS = ("serve", "up", "emulator")  # they log what is wrong with plug-ins, if it concerns them


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="render-trio")
@plugin_folders
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

    Exit codes: 0 for success, 1 for an error (the reason is on stderr), 2 for wrong usage. `serve`, `submit` and
    `results` have more, which their --help lists.
    """
    add_plugins(plugins, report=context.invoked_subcommand not in LOGGING_COMMANDS)


emulator = create_command(lambda: logs.configure("console", "info"))

for command in (demo, up, serve, emulator, render, resources, submit_command, results_command, new, preview):
    main.add_command(command)
