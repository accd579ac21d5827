"""Arguments of the `render-trio` command → JSON on stdout, text and errors on stderr, an exit code."""

from render_trio.cli.commands import main

__all__ = ["main"]
