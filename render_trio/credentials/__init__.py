"""Secrets from settings and files → what authorises a request, whom to trust, and addresses that are safe to show."""
