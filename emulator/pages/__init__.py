"""For people and operators: the page, the admin verbs, metrics."""
