"""The printable resources: one module or package each, which defines it as `RESOURCE`."""
