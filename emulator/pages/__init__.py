"""The service for its operators: web pages, health, metrics, and verbs for tests."""
