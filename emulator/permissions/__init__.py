"""Queue file and token file → access rules, which are applied to calls."""
