"""The faults of a SQLite file, caused for real: full disks, locks, damaged and deleted files, shifted clocks."""
