"""MCP: tools, resources, prompts and notifications, on the FastMCP server."""
