"""Presence: viewers that ask for it are told who watches and which agents are at work."""
