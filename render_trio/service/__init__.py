"""Settings → a running service: workers and web server in one nursery, from start to exit code."""
