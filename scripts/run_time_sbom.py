"""A CycloneDX document of the whole environment, on stdin → one of the run-time dependencies, on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from typing import Any

from packaging.utils import canonicalize_name

from scripts.closure import closure


def restrict(document: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return the document with only the components of these normalised names, and the edges between them."""
    components = [each for each in document["components"] if canonicalize_name(each["name"]) in names]
    references = {document["metadata"]["component"]["bom-ref"], *(each["bom-ref"] for each in components)}
    dependencies = []
    for each in document["dependencies"]:
        if each["ref"] in references:
            edges = [reference for reference in each.get("dependsOn", []) if reference in references]
            dependencies.append({"ref": each["ref"]} | ({"dependsOn": edges} if edges else {}))
    return document | {"components": components, "dependencies": dependencies}


def main() -> None:
    """Filter stdin to stdout."""
    document = restrict(json.load(sys.stdin), closure("render-trio").keys() - {"render-trio"})
    json.dump(document, sys.stdout, indent=2, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
