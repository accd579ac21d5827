"""One change in one file, and where the file is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """Replaces the characters `start` to `end` of a file by `text`.

    `path` is relative to the repository; `line` is 1-based; `change` describes the replacement for people.
    """

    path: str
    line: int
    start: int
    end: int
    text: str
    change: str

    def apply(self, source: str) -> str:
        """Return the changed source. It has as many lines as before."""
        missing = source.count("\n", self.start, self.end) - self.text.count("\n")
        return source[: self.start] + self.text + "\n" * missing + source[self.end :]

    def key(self, source: str) -> str:
        """Return a name that stays the same while the line and the change do, wherever the line moves to."""
        lines = source.splitlines()
        content = f"{self.path}\n{lines[self.line - 1].strip()}\n{self.change}"
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change}"
