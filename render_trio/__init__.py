"""The render service: leases render tasks, draws vector PDFs, gives results back."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("render-trio")
except PackageNotFoundError:  # run from a checkout that was not installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
