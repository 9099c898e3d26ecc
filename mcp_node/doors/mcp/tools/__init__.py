"""The MCP tools. Each passes its arguments to a service; `registry` does what they share."""
