"""The printable resources: each module or package defines one as `RESOURCE`."""
