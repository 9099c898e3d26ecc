"""Log lines: one line an event, nothing that controls a terminal, and libraries kept quiet."""

import json
import logging
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.process.logs import JsonLines, LibraryRateLimit, TextLines, escape


def record(message: str, *arguments: object, trace: bool = False) -> logging.LogRecord:
    caught = None
    if trace:
        try:
            raise ValueError(message)
        except ValueError:
            caught = sys.exc_info()
    return logging.LogRecord(
        "ws_node.rooms.hub", logging.INFO, "x.py", 1, message, arguments, caught
    )


@given(st.text())
def test_an_escaped_text_is_one_line_without_control_characters(text: str) -> None:
    line = escape(text)
    assert len(line.splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in line)


def test_what_is_escaped_can_still_be_read() -> None:
    assert escape("a\nb\x1b[31m\x7f\x85\u2028é ü") == "a\\x0ab\\x1b[31m\\x7f\\x85\\u2028é ü"


def test_a_text_line_escapes_control_characters() -> None:
    line = TextLines().format(record("who: %s", "a\r\nWARNING forged"))
    assert line.endswith("Z INFO ws_node.rooms.hub: who: a\\x0d\\x0aWARNING forged")
    assert "\n" not in line


def test_a_traceback_is_indented_and_cannot_forge_a_line() -> None:
    lines = TextLines().format(record("boom\x1b\r2026 INFO x: y", trace=True)).split("\n")
    assert all(line.startswith("  ") for line in lines[1:])
    assert not any("\x1b" in line or "\r" in line for line in lines)


@given(st.text(), st.booleans())
def test_a_json_line_is_valid_json_on_one_line(text: str, trace: bool) -> None:
    line = JsonLines().format(record("%s", text) if not trace else record("x", trace=True))
    assert line.isascii() and "\n" not in line
    fields = json.loads(line)
    assert {"time", "level", "logger", "message"} <= fields.keys()
    assert fields["message"] == ("x" if trace else text)


SPEAK = """
import logging, sys
from proto.settings import load_settings
from serving.process.logs import set_up_logging
set_up_logging(load_settings())
for name in ("mcp_node.app", "ws_node.rooms.hub", "aiosqlite", "websockets.server", "httpx", "mcp"):
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger(name).log(level, "%s", logging.getLevelName(level))
"""


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_the_level_is_for_our_own_lines_and_libraries_only_warn(level: str) -> None:
    """aiosqlite at DEBUG logs the messages it stores, websockets the headers of a handshake."""
    done = subprocess.run(
        [sys.executable, "-c", SPEAK],
        env={"PARTYLINE_LOG_LEVEL": level, "PARTYLINE_LOG_FORMAT": "json", "PATH": ""},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b""
    said: dict[str, list[str]] = {}
    for line in done.stderr.decode().splitlines():
        fields = json.loads(line)
        said.setdefault(fields["logger"], []).append(fields["level"])
    levels = ["DEBUG", "INFO", "WARNING", "ERROR"]
    ours = levels[levels.index(level) :]
    assert said["mcp_node.app"] == said["ws_node.rooms.hub"] == ours
    for library in ("aiosqlite", "websockets.server", "httpx", "mcp"):
        assert said[library] == [one for one in ours if one in ("WARNING", "ERROR")]


def test_a_library_that_says_much_is_cut_short_and_says_so_afterwards() -> None:
    now = [100.0]
    sparing = LibraryRateLimit(lambda: now[0])

    def spoken(name: str, level: int = logging.WARNING) -> list[str]:
        lines = [logging.LogRecord(name, level, "x.py", 1, "no %s", ("HTTP",), None)] * 1000
        return [line.getMessage() for line in lines if sparing.filter(line)]

    assert spoken("uvicorn.error") == ["no HTTP"] * 20
    assert spoken("uvicorn.error", logging.ERROR) == ["no HTTP"] * 20, "an allowance of its own"
    assert spoken("ws_node.rooms.hub") == ["no HTTP"] * 1000, "ours are not cut"
    assert spoken("uvicorn.error") == []
    now[0] += 1.0
    assert spoken("uvicorn.error") == [
        "no HTTP (1980 lines of this logger were left out before this one)"
    ]
