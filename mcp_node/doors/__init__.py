"""The doors: MCP for agents, REST for programs and pages.

Thin: a door checks who calls, asks a service, and answers.
"""
