"""The queue service for local and self-hosted use: Task Queue v1beta2 and Cloud Tasks v2beta2, on SQLite or Redis.

It shares no code with the render service, only the protocol, so that a shared bug can't hide.
"""
