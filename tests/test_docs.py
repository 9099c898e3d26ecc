"""The pages say what the code does: every tool, close code and file is on them."""

import re
from pathlib import Path

from mcp_node.prompts import PROMPTS
from mcp_node.resources.memory import MEMORY_URI
from mcp_node.uris import MESSAGES, SESSION
from proto.settings import Settings
from ws_node.disconnect import Disconnect

ROOT = Path(__file__).parent.parent


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_every_close_code_is_documented_as_it_is() -> None:
    rows = re.findall(r"^\| (4\d{3}) \| `(\w+)` \| (.+) \|$", page("websocket.md"), re.MULTILINE)
    assert rows == [(str(why.code), why.name, why.reason) for why in Disconnect]


def test_every_tool_is_in_the_readme_with_its_parameters() -> None:
    readme = (ROOT / "README.md").read_text()
    sources = "\n".join(path.read_text() for path in (ROOT / "mcp_node" / "tools").glob("*.py"))
    tools = re.findall(r"@mcp\.tool\(.*?\)\n    async def (\w+)", sources, re.DOTALL)
    assert len(tools) >= 5
    for tool in tools:
        assert f"`{tool}(" in readme, tool


def test_every_resource_and_prompt_is_documented() -> None:
    text = page("mcp.md")
    for uri in (SESSION, MESSAGES, MEMORY_URI):
        assert f"`{uri}`" in text, uri
    for prompt in PROMPTS:
        assert f"| `{prompt}(session_id" in text, prompt


def test_pages_link_to_what_exists() -> None:
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_settings_are_written_with_their_prefix() -> None:
    """As they must be typed: without it they are ignored."""
    names = sorted((name.upper() for name in Settings.model_fields), key=len, reverse=True)
    bare = re.compile(rf"(?<![A-Za-z_])(?:{'|'.join(names)})(?![A-Za-z_])")
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        assert not bare.findall(path.read_text()), path.name
