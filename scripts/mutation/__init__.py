"""Chosen modules → small changes in them (mutants) → which of these the tests notice. See scripts/mutate."""
