"""Distinct marks for secrets and names that a test gives to a program, and a search for them in what it puts out."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from urllib.parse import quote

from tests.processes import children_of

LENGTH = 9  # of the part that is searched for in Base64, where the beginning and the end depend on the neighbours


class Canaries:
    """Each canary is made when it is first used; `found_in` returns the names of those in a text."""

    def __init__(self) -> None:
        self._planted: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """Return the canary for this input: letters, digits and hyphens, so that no encoding but Base64 changes it."""
        return self._planted.setdefault(name, f"canary-{name}-{uuid.uuid4().hex}")

    def found_in(self, output: str | bytes, *prefixes: str) -> set[str]:
        """Return the names of the canaries in the output, as they are or in Base64; only those with these prefixes."""
        raw = output.encode(errors="replace") if isinstance(output, str) else output
        chosen = {name: text for name, text in self._planted.items() if not prefixes or name.startswith(prefixes)}
        return {name for name, text in chosen.items() if any(form in raw for form in _forms(text))}


def _forms(text: str) -> list[bytes]:
    """Return what to search for: the random part, with the case as it is, in Base64 at each of its three offsets."""
    secret = text.rpartition("-")[2].encode()
    encoded = [base64.b64encode(b"\0" * shift + secret)[4:-4] for shift in range(3)]
    return [secret, secret.upper(), secret[:LENGTH], quote(text).encode(), *encoded]


def command_lines(process: int) -> str:
    """Return what `ps` shows of a process and all those below it."""
    shown = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return "\n".join([shown, *(command_lines(child) for child in children_of(process))])
