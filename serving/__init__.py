"""What a node's process is made of: its HTTP server, its doors, its logs, its lock file.

Above `proto` (which stays free of I/O) and below both nodes, which never import each other.
"""
