"""A finished PDF → its address in a document store, or None when it travels inside the result."""
