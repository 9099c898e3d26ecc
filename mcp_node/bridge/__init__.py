"""The bridge: publishes committed messages to ws_node. No write waits for it."""
