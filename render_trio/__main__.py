"""The command line, as `python -m render_trio`."""

from render_trio.cli.commands import main

if __name__ == "__main__":
    main(prog_name="render-trio")
