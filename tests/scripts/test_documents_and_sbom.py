"""The pure parts of scripts/compare-documents and scripts/sbom."""

from __future__ import annotations

from scripts.compare_documents import differences
from scripts.run_time_sbom import restrict


def test_documents_are_compared_by_name_and_bytes() -> None:
    before = {"same": b"1", "changed": b"1", "removed": b"1"}
    after = {"same": b"1", "changed": b"2", "added": b"1"}
    assert differences(before, after) == {"added": "added", "changed": "changed", "removed": "removed"}


def test_the_bill_of_materials_is_restricted_to_the_run_time_dependencies() -> None:
    document = {
        "metadata": {"component": {"bom-ref": "root", "name": "render-trio"}},
        "components": [{"bom-ref": f"{name}==1", "name": name} for name in ("Jinja2", "MarkupSafe", "pytest")],
        "dependencies": [
            {"ref": "root", "dependsOn": ["Jinja2==1", "pytest==1"]},
            {"ref": "Jinja2==1", "dependsOn": ["MarkupSafe==1"]},
            {"ref": "MarkupSafe==1"},
            {"ref": "pytest==1", "dependsOn": ["MarkupSafe==1"]},
        ],
    }
    restricted = restrict(document, {"jinja2", "markupsafe"})
    assert [each["name"] for each in restricted["components"]] == ["Jinja2", "MarkupSafe"]
    assert restricted["dependencies"] == [
        {"ref": "root", "dependsOn": ["Jinja2==1"]},
        {"ref": "Jinja2==1", "dependsOn": ["MarkupSafe==1"]},
        {"ref": "MarkupSafe==1"},
    ]
