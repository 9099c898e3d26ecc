"""The official MCP conformance suite against our server, and other people's clients against it."""
