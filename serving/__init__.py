"""Parts of a node's process: HTTP server, authentication, requests between processes, logs.

It imports `proto` only. Both nodes import it.
"""
