from render_trio.cli.commands import main

__all__ = ["main"]
