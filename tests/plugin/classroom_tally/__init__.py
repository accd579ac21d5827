"""Tally cards and number dice: resources for render-trio."""
