"""The WebSocket node: it collects events, follows the log, and fans out to viewers."""
