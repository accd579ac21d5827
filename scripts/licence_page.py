"""The installed run-time dependencies → a Markdown page with their versions and licences."""

from __future__ import annotations

from importlib.metadata import Distribution

from scripts.closure import closure

PAGE = """# Licences

render-trio itself is under the [MIT licence](../../LICENSE). An installation of `requirements.lock` also contains these
packages. The licences are those that the packages declare in their metadata.

`scripts/licences` writes this page; `scripts/sbom` writes the same list as a CycloneDX document, with more details.

| Package | Version | Licence |
| --- | --- | --- |
"""
MAX_NAME = 60  # characters; a longer licence field contains the licence's whole text


def licence(distribution: Distribution) -> str:
    """Return a distribution's licence: its SPDX expression, or else its classifiers, or else its licence field."""
    expressions = _values(distribution, "License-Expression")
    classifiers = [text.rpartition(" :: ")[2] for text in _values(distribution, "Classifier") if "License ::" in text]
    fields = [text for text in _values(distribution, "License") if len(text) <= MAX_NAME]
    return ", ".join(expressions or classifiers or fields) or "see the package"


def _values(distribution: Distribution, field: str) -> list[str]:
    return [str(value) for value in distribution.metadata.get_all(field, [])]


def page() -> str:
    """Return the page."""
    rows = {name: distribution for name, distribution in closure("render-trio").items() if name != "render-trio"}
    return PAGE + "".join(
        f"| {name} | {distribution.version} | {licence(distribution)} |\n"
        for name, distribution in sorted(rows.items())
    )


if __name__ == "__main__":
    print(page(), end="")
