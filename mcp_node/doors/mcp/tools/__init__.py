"""The MCP tools: thin. Each takes its arguments, asks `mcp_node.rooms`, and answers."""
