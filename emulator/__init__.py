"""The queue service for local and self-hosted use: Task Queue v1beta2 and Cloud Tasks v2beta2, on SQLite or Redis.

It shares the protocol with the render service, but no code, so that a bug in shared code can't go unnoticed.
"""
