"""Dividing work in a session: claims, notes and statuses."""
