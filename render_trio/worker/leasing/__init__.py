"""Lease requests for the tasks of producers and for those from the web → the task whose turn it is."""
