"""Rooms: live state of sessions that have viewers, and the fan-out to those."""
