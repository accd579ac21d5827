"""`python -m emulator`: runs the queue service without the render service."""

from __future__ import annotations

from emulator.command import main

if __name__ == "__main__":
    main(prog_name="python -m emulator")
