"""What only the second dialect needs: its resources, its values, its verbs for queues."""
