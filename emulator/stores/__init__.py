"""Where tasks lie: SQLite for one host, Redis for several. The interface is emulator/store.py."""
