"""One API is one pair of files: `name_version.json`, its discovery document, and `name_version.py`, its routes."""
