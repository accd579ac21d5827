"""The commands of a producer, run in this process or as one of their own."""

from __future__ import annotations

import subprocess
import sys

from click.testing import CliRunner, Result

from render_trio.cli.commands import main
from render_trio.settings import settings
from tests.processes import environment
from tests.render_trio.queue.producing import Inbox


def invoke(inbox: Inbox, *arguments: str, **variables: str) -> Result:
    """Run a command of a producer in this process."""
    unset = dict.fromkeys(name for setting in settings.TABLE for name in (setting.name, setting.former) if name)
    return CliRunner().invoke(main, arguments, env=unset | variables_of(inbox) | variables)


def start(inbox: Inbox, *arguments: str, program: str = "", **variables: str) -> subprocess.Popen[str]:
    """Start a command of a producer, after `program` if given, which may change what it does."""
    code = f"import sys; from render_trio.cli.commands import main\n{program}\nmain(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment(**variables_of(inbox), **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def variables_of(inbox: Inbox) -> dict[str, str]:
    """Return the environment variables that name the queue."""
    return {"QUEUE_URL": inbox.address, "QUEUE_NAME": inbox.name}
