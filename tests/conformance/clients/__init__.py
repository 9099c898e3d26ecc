"""Clients that others have made, against the real mcp_node with a token."""
