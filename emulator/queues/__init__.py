"""Checked calls in, tasks out: access to the store without blocking the event loop, and leases that wait."""
