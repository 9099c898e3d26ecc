"""The MCP resources: thin, like the tools, and of the same services."""
