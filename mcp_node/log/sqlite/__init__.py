"""The log in SQLite: one file in the data directory, written by one node."""
