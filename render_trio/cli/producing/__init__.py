"""A producer's commands: options → tasks in a queue (`submit`), results in the queue → documents (`results`)."""

from render_trio.cli.producing.fetching import results_command
from render_trio.cli.producing.submitting import submit_command

__all__ = ["results_command", "submit_command"]
