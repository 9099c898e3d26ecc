"""The doors: MCP for agents, REST for programs and pages.

A door identifies the caller, calls a service, and encodes the answer.
"""
