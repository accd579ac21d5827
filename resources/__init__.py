"""Printable resources: a mapping of values goes in, drawn pages come out. No queue and no service is involved."""
