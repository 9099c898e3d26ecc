"""Resources and prompts of the conformance suite."""

import base64
import json

from fastmcp import FastMCP
from fastmcp.prompts import Message

from tests.conformance.fixtures_content import RED_DOT, embedded, image


def add_resources_and_prompts(mcp: FastMCP) -> None:
    add_resources(mcp)
    add_prompts(mcp)


def add_resources(mcp: FastMCP) -> None:
    @mcp.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """A text."""
        return "This is the content of the static text resource."

    @mcp.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """An image."""
        return base64.b64decode(RED_DOT)

    @mcp.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        """A resource for each id."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def add_prompts(mcp: FastMCP) -> None:
    @mcp.prompt
    def test_simple_prompt() -> str:
        """A text."""
        return "This is a simple prompt for testing."

    @mcp.prompt
    def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
        """A text with two arguments in it."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @mcp.prompt
    def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:
        """A resource and a text."""
        words = "Embedded resource content for testing."
        return [
            Message(embedded(resourceUri, "text/plain", words)),
            Message("Please process the embedded resource above."),
        ]

    @mcp.prompt
    def test_prompt_with_image() -> list[Message]:
        """An image and a text."""
        return [Message(image()), Message("Please analyze the image above.")]
