"""A node's process: server, supervisor, lock file, logs."""
