"""What the command line does, one file a command; `mcp_node.commands.cli` parses and calls them."""
