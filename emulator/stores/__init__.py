"""Tasks in, tasks out: atomic operations on queues, stored in SQLite or Redis."""
