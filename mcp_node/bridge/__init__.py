"""The bridge out of mcp_node: what was committed leaves here, and nobody waits for it."""
