"""A git revision → which documents of the catalogue differ, byte for byte, from those of the working tree.

Both trees are imported by the same interpreter with the same installed packages, so the version in the documents'
metadata, which is that of the installed distribution, is the same too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "documents"

# Runs in either tree. `produce` and `all_requests` are where they were in 0.1.0, or where they are now.
DRAW = """
import sys
from pathlib import Path

try:
    from render_trio.rendering.pipeline import produce
except ModuleNotFoundError:
    from render_trio.offload import produce
from tests.requests import all_requests

for request in all_requests():
    document = produce(request, lambda: None)
    # The document's own file name doesn't hold every option.
    options = {**request.choices, "paper_size": request.paper_size}
    options = " ".join(f"{name}={value}" for name, value in options.items())
    with Path(sys.argv[1], f"{request.view} {options}.pdf").open("xb") as file:
        file.write(document.pdf)
"""


def start_drawing(tree: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that draws all documents of a source tree into a folder, named by view and options."""
    folder.mkdir(parents=True)
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen([sys.executable, "-c", DRAW, str(folder)], cwd=tree, env=environment)


def documents(folder: Path) -> dict[str, bytes]:
    """Return the documents in a folder by file name."""
    return {path.name: path.read_bytes() for path in folder.glob("*.pdf")}


def differences(before: dict[str, bytes], after: dict[str, bytes]) -> dict[str, str]:
    """Return, by file name, how each document that isn't equal differs: removed, added or changed."""
    found = {}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            found[name] = "removed"
        elif name not in before:
            found[name] = "added"
        elif before[name] != after[name]:
            found[name] = "changed"
    return found


def draw(revision: str, folder: Path) -> None:
    """Draw the documents of the revision into `folder`/old and those of the working tree into `folder`/new."""
    tree = folder / "tree"
    added = subprocess.run(
        ["git", "worktree", "add", "--quiet", "--detach", str(tree), revision], cwd=ROOT, check=False
    )
    if added.returncode:
        sys.exit(f"compare-documents: git has no revision {revision}")
    try:
        drawing = [start_drawing(tree, folder / "old"), start_drawing(ROOT, folder / "new")]
        codes = [process.wait() for process in drawing]
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
    if any(codes):
        sys.exit("compare-documents: drawing failed")


def main(revision: str) -> int:
    """Print the documents that differ, and how many are equal; return the exit code."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draw(revision, folder)
        trees = {which: documents(folder / which) for which in ("old", "new")}
    found = differences(trees["old"], trees["new"])
    shutil.rmtree(OUT, ignore_errors=True)
    for name, how in found.items():
        print(f"{how}: {name}")
        for which, drawn in trees.items():
            if name in drawn:
                (OUT / which / name).parent.mkdir(parents=True, exist_ok=True)
                (OUT / which / name).write_bytes(drawn[name])
    equal = len(trees["old"].keys() | trees["new"].keys()) - len(found)
    print(f"{equal} equal, {len(found)} different" + (f": see {OUT.relative_to(ROOT)}" if found else ""))
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: scripts/compare-documents REVISION")
    sys.exit(main(sys.argv[1]))
