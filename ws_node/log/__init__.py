"""Following mcp_node's log: its client, gaps and heads, shared reads, and catching up."""
