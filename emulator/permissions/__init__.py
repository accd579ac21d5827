"""Who may do what: queue.yaml, the token file, and the rules they make."""
