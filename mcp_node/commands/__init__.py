"""What the command line does, one file a command; `mcp_node.cli` parses and calls them."""
