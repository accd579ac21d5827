"""A lock file → its pins by package."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import ROOT

RUN_TIME, TEST = "requirements.lock", "requirements-test.lock"


@dataclass(frozen=True)
class Pin:
    """One entry of a lock file."""

    requirement: Requirement
    hashes: int

    @property
    def version(self) -> Version:
        return Version(str(self.requirement.specifier).removeprefix("=="))

    @property
    def applies(self) -> bool:
        """Whether this interpreter installs it."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


@cache
def pins(file: str) -> dict[str, list[Pin]]:
    """Return a lock file's entries by normalised name; a package can have several, for different Pythons."""
    found = defaultdict(list)
    for line in (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if not line.lstrip().startswith("#"):
            requirement, *hashes = line.split(" --hash=sha256:")
            assert all(re.fullmatch(r"[0-9a-f]{64}", each.strip()) for each in hashes), line
            pin = Pin(Requirement(requirement), len(hashes))
            found[canonicalize_name(pin.requirement.name)].append(pin)
    return found
