"""Tools of the conformance suite that return every kind of content, log, and report progress."""

import asyncio
import base64
import json
from typing import Final

import mcp_types
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.tools.base import ToolResult

STEP_SECONDS: Final = 0.05
"""The suite asks for this pause between two notifications."""

RED_DOT: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQ"
    "AAAABJRU5ErkJggg=="
)
"""A PNG of one pixel, base64."""

SILENCE: Final = base64.b64encode(
    b"RIFF" + (36).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    + b"\x01\x00\x01\x00" + (8000).to_bytes(4, "little") + (8000).to_bytes(4, "little")
    + b"\x01\x00\x08\x00" + b"data" + (0).to_bytes(4, "little")
).decode()  # fmt: skip
"""A WAV file without a sample, base64."""


def text(value: str) -> mcp_types.TextContent:
    return mcp_types.TextContent(type="text", text=value)


def image() -> mcp_types.ImageContent:
    return mcp_types.ImageContent(type="image", data=RED_DOT, mime_type="image/png")


def embedded(uri: str, mime_type: str, value: str) -> mcp_types.EmbeddedResource:
    resource = mcp_types.TextResourceContents(uri=uri, mime_type=mime_type, text=value)
    return mcp_types.EmbeddedResource(type="resource", resource=resource)


def add_content_tools(mcp: FastMCP) -> None:
    @mcp.tool
    def test_simple_text() -> str:
        """Return a text."""
        return "This is a simple text response for testing."

    @mcp.tool
    def test_image_content() -> ToolResult:
        """Return an image."""
        return ToolResult(content=[image()])

    @mcp.tool
    def test_audio_content() -> ToolResult:
        """Return a sound."""
        sound = mcp_types.AudioContent(type="audio", data=SILENCE, mime_type="audio/wav")
        return ToolResult(content=[sound])

    @mcp.tool
    def test_embedded_resource() -> ToolResult:
        """Return a resource."""
        words = "This is an embedded resource content."
        return ToolResult(content=[embedded("test://embedded-resource", "text/plain", words)])

    @mcp.tool
    def test_multiple_content_types() -> ToolResult:
        """Return a text, an image and a resource."""
        data = json.dumps({"test": "data", "value": 123})
        resource = embedded("test://mixed-content-resource", "application/json", data)
        return ToolResult(content=[text("Multiple content types test:"), image(), resource])

    @mcp.tool
    def test_error_handling() -> str:
        """Fail."""
        raise ToolError("This tool intentionally returns an error for testing")

    @mcp.tool
    async def test_tool_with_logging(ctx: Context) -> str:
        """Log three lines while it works."""
        await ctx.info("Tool execution started")
        await asyncio.sleep(STEP_SECONDS)
        await ctx.info("Tool processing data")
        await asyncio.sleep(STEP_SECONDS)
        await ctx.info("Tool execution completed")
        return "Logged three lines."

    @mcp.tool
    async def test_logging_tool(ctx: Context) -> str:
        """Log a line, which only who asked for it may get."""
        await ctx.info("A line of the log")
        return "Logged a line."

    @mcp.tool
    async def test_tool_with_progress(ctx: Context) -> str:
        """Report progress while it works."""
        for done in (0, 50, 100):
            await ctx.report_progress(done, 100)
            await asyncio.sleep(STEP_SECONDS)
        return "Reported progress."

    @mcp.tool
    async def test_reconnection(ctx: Context) -> str:
        """Close the response's stream in the middle, where the server keeps events to resume."""
        await ctx.close_sse_stream()
        await asyncio.sleep(STEP_SECONDS)
        return "Went on after the stream was closed."
