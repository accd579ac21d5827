"""One pair of files per API: its discovery document `name_version.json`, and `name_version.py` with its verbs."""
