"""The live page: its files, and the requests that it sends to mcp_node."""
