"""What the official conformance suite wants to find on a server, put on ours.

The names and contents are the suite's: it calls `test_simple_text` and wants a certain text. How
they travel (eras, sessions, streams, errors, headers, limits) is the product's, which is tested.
"""

from fastmcp import FastMCP

from tests.conformance.fixtures_asking import add_asking_tools
from tests.conformance.fixtures_changes import add_changes
from tests.conformance.fixtures_content import add_content_tools
from tests.conformance.fixtures_input import add_input_tools
from tests.conformance.fixtures_resources import add_resources_and_prompts
from tests.conformance.fixtures_schema import add_schema_tools


def add_fixtures(mcp: FastMCP) -> None:
    """Add all of them to a server that has everything of its own."""
    add_content_tools(mcp)
    add_asking_tools(mcp)
    add_input_tools(mcp)
    add_schema_tools(mcp)
    add_resources_and_prompts(mcp)
    add_changes(mcp)
