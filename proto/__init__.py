"""What both nodes share: words, rules and formats, without asyncio, sockets or a database.

Imports run one way: ``proto <- serving <- mcp_node`` and ``proto <- serving <- ws_node``.
The only I/O here is reading settings, and reading and creating key files.
"""
