"""Intake of events: the PULL socket, /broadcast, and the HTTP bridge, all into the event queue."""
