"""The render service: leases render tasks, draws vector PDFs, returns results."""

from render_trio.observation.versions import __version__

__all__ = ["__version__"]
