"""Rooms: live state of the sessions that somebody watches, and the fan-out to their viewers."""
