"""The MCP resources, with the same services as the tools."""
