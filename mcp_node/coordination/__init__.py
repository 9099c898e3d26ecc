"""Dividing work in a session: claims."""
