"""A request → who sent it, what they may do, and how much of it."""
