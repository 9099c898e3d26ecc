"""The MCP node: agents write here, the log lives here, and messages leave here for the bridge."""
