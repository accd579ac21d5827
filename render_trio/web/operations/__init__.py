"""The state of the running service → health probes, metrics and the operator's status page."""
