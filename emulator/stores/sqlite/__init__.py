"""The task store in a SQLite file: store operations → transactions of a few indexed statements."""
