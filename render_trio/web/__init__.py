"""The web side: health for orchestrators, metrics, and pages for people."""
