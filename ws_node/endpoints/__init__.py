"""Viewers' endpoints: WebSocket and server-sent events, from admission to the last frame."""
