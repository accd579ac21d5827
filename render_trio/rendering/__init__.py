"""Requests → finished documents and pictures of their pages: drawn, finished, checked, cached."""
