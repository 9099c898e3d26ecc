"""Dividing work in a session: claims and notes."""
