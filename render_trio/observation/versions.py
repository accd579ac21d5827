"""The versions of the service and its libraries, and the C accelerations that are loaded.

Without an acceleration everything works, only slower; the service logs a warning when it starts.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import platform

import pikepdf

try:
    __version__ = importlib.metadata.version("render-trio")
except importlib.metadata.PackageNotFoundError:  # run from a checkout that was not installed
    __version__ = "0+unknown"

# module → (package to install, what it accelerates)
ACCELERATIONS = {
    "_rl_accel": ("reportlab[accel]", "drawing"),
    "hiredis": ("redis[hiredis]", "the queue on Redis"),
    "msgspec._core": ("msgspec", "JSON"),
    "lxml.etree": ("lxml", "artwork"),
    "markupsafe._speedups": ("MarkupSafe", "web pages"),
}
# The extension module of rl_accel has been renamed between its releases.
_ALTERNATIVES = {"_rl_accel": ("rl_accel", "_rl_accel", "reportlab.lib._rl_accel")}


def _loads(module: str) -> bool:
    for name in _ALTERNATIVES.get(module, (module,)):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        return True
    return False


def loaded() -> dict[str, bool]:
    """Return whether each acceleration is loaded, by the name of its module."""
    return {module.lstrip("_").split(".")[0]: _loads(module) for module in ACCELERATIONS}


def warnings() -> list[str]:
    """Return one line for each missing acceleration, with the command that installs it."""
    return [
        f"{module} is not installed, so {what} is slower; to install it: pip install '{package}'"
        for module, (package, what) in ACCELERATIONS.items()
        if not _loads(module)
    ]


def versions() -> dict[str, object]:
    """Return the versions of the service and of the libraries that its documents depend on."""
    return {
        "render-trio": __version__,
        "python": platform.python_version(),
        "reportlab": importlib.metadata.version("reportlab"),
        "rl_accel": importlib.metadata.version("rl_accel") if loaded()["rl_accel"] else None,
        "pikepdf": pikepdf.__version__,
        "qpdf": pikepdf.__libqpdf_version__,
        "trio": importlib.metadata.version("trio"),
        "accelerations": loaded(),
    }
