"""Printable resources: values in, drawn pages out; knows nothing of queues or services."""
