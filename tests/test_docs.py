"""The pages say what the code does: every tool, close code and file is on them."""

import argparse
import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_node.commands.arguments import command_line
from mcp_node.doors.mcp.prompts import PROMPTS
from mcp_node.doors.mcp.resources.memory import MEMORY_URI
from mcp_node.sessions.uris import MESSAGES, SESSION
from proto.settings import Settings
from ws_node.rooms.disconnect import Disconnect

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
VENV = Path(sys.executable).parent


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_every_close_code_is_documented_as_it_is() -> None:
    rows = re.findall(r"^\| (4\d{3}) \| `(\w+)` \| (.+) \|$", page("websocket.md"), re.MULTILINE)
    assert rows == [(str(why.code), why.name, why.reason) for why in Disconnect]


def test_every_tool_is_in_the_readme_with_its_parameters() -> None:
    readme = (ROOT / "README.md").read_text()
    folder = ROOT / "mcp_node" / "doors" / "mcp" / "tools"
    tools = [
        function
        for path in folder.glob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.AsyncFunctionDef)
        and any(ast.unparse(one).startswith("tools.add(") for one in function.decorator_list)
    ]
    assert len(tools) >= 5
    for tool in tools:
        parameters = [one.arg for one in tool.args.args[1:] if one.arg != "context"]
        assert f"`{tool.name}({', '.join(parameters)})`" in readme, tool.name


def test_every_resource_and_prompt_is_documented() -> None:
    text = page("mcp.md")
    for uri in (SESSION, MESSAGES, MEMORY_URI):
        assert f"`{uri}`" in text, uri
    for prompt in PROMPTS:
        assert f"| `{prompt}(session_id" in text, prompt


def anchors(path: Path) -> set[str]:
    """The fragments under which a page's headings are reached, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def test_pages_link_to_what_exists() -> None:
    for path in PAGES:
        for file, _, anchor in re.findall(r"\]\(([^)#:]*)(#([^)]+))?\)", path.read_text()):
            target = path.parent / file if file else path
            assert target.exists(), f"{path.name}: {file}"
            assert not anchor or anchor in anchors(target), f"{path.name}: {file}#{anchor}"


def test_settings_are_written_with_their_prefix() -> None:
    """As they must be typed: without it they are ignored."""
    names = sorted((name.upper() for name in Settings.model_fields), key=len, reverse=True)
    bare = re.compile(rf"(?<![A-Za-z_])(?:{'|'.join(names)})(?![A-Za-z_])")
    for path in PAGES:
        assert not bare.findall(path.read_text()), path.name


def commands(text: str) -> Iterator[str]:
    """What a page gives to be typed: code spans, and the lines of shell and cron blocks."""
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if kind in ("", "sh", "cron"):
            yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def subcommands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (
        action.choices
        for action in command_line()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(found)


@pytest.mark.parametrize(
    "path", [p for p in PAGES if p.name != "CHANGELOG.md"], ids=lambda path: path.name
)
def test_commands_work_as_typed_in_the_directory_of_the_project(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = subcommands()
    for line in commands(path.read_text()):
        for program in re.findall(r"\.venv/bin/([\w.-]+)", line):
            assert (VENV / program).exists(), line
        for target in re.findall(r"(?:^|&& |[A-Z]=\S+ )make ([a-z][a-z-]*)", line):
            assert target in targets, line
        for module in re.findall(r"python -m (\S+)", line):
            assert ".venv/bin/python -m" in line, f"{line}: which python?"
            assert importlib.util.find_spec(module), line
        for bin_, command, rest in re.findall(
            r"(?:^|(?<=[\s(\"&]))(\.venv/bin/)?partyline ([a-z]+)([^|)&]*)", line
        ):
            if command in known:
                assert bin_, f"{line}: is not on PATH"
                options = set(re.findall(r"(?<![\w-])--[a-z-]+", rest))
                assert options <= known[command]._option_string_actions.keys(), line


def test_the_page_shows_no_command_that_is_not_on_path() -> None:
    for script in (ROOT / "ws_node" / "static").rglob("*.js"):
        for command in subcommands():
            assert not re.search(rf"(?<!/)\bpartyline {command}\b", script.read_text()), script


def test_the_check_of_commands_sees_a_wrong_one(tmp_path: Path) -> None:
    for wrong in (
        "`partyline login`",
        '```sh\nexport T="$(partyline token --agent a)"\n```',
        "`.venv/bin/partyline revoke --links 1`",
        "`.venv/bin/nothing`",
        "`make nothing`",
        "`python -m mcp_node`",
    ):
        (page_ := tmp_path / "page.md").write_text(wrong)
        with pytest.raises(AssertionError):
            test_commands_work_as_typed_in_the_directory_of_the_project(page_)


def test_every_place_that_the_architecture_names_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"`((?:proto|serving|mcp_node|ws_node)/[\w./]*)`", text))
    assert len(named) > 40
    assert [place for place in sorted(named) if not (ROOT / place).exists()] == []
    folders = {
        f"{path.relative_to(ROOT)}/"
        for top in ("serving", "mcp_node", "ws_node")
        for path in (ROOT / top).iterdir()
        if (path / "__init__.py").exists() and path.name != "doors"
    }
    assert folders <= named, "a folder without a sentence"


def test_every_word_of_the_architecture_is_a_word_of_the_code() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    words = re.findall(r"^\| \*\*(\w+)", text, re.MULTILINE)
    assert len(words) > 12
    packages = ("proto", "serving", "mcp_node", "ws_node")
    code = "".join(f.read_text("utf-8") for top in packages for f in (ROOT / top).rglob("*.py"))
    assert [word for word in words if word not in code] == []
