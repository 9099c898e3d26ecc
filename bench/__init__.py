"""Measurements a user can repeat: ``python -m bench`` starts real processes, prints a table."""
