"""Presence: how many viewers a session has and which agents are at work, for subscribers."""
