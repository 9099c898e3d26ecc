"""Several worker processes of one ws_node, and what they exchange."""
