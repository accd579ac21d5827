"""A pull queue: tasks are leased for a while, their leases renewed or released, and each is settled once.

`interface` declares what the service needs of a queue, `messages` the payloads of tasks and results, `producer` the
side that submits tasks and collects results; each engine is a package of its own.
"""
