"""What participants write does not reach the terminal of ``partyline watch`` as commands."""

import asyncio
import io
import json
import sys

import pytest

from mcp_node.commands.watch import TOKEN_VARIABLE, Watch
from proto.errors import ConfigurationError
from proto.settings import Settings
from tests.pair import Pair
from tests.security.unharmed import add, make_room
from tests.waiting import START_SECONDS

NASTY = (
    "\x1b]0;title\x07 \x1b[2J \x9b2J \x9d0;title\x9c \x7f \x85 \x08\x08 \r\n \u2028 \u202ex"
    "\u202c \u200b \ufeff \U000e0041 \xa0"
)
PLAIN = "grüße 你好 🎉"


async def test_the_terminal_gets_no_control_character(pair: Pair) -> None:
    room = await make_room(pair)
    await add(pair, room, content=f"{NASTY}{PLAIN}")
    environment = {**pair.mcp.environment, TOKEN_VARIABLE: pair.token("watcher")}
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mcp_node.commands.cli", "watch", room, "--since", "0"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert watching.stdout is not None
    try:
        line = (await asyncio.wait_for(watching.stdout.readline(), START_SECONDS)).decode()
    finally:
        watching.kill()
        await watching.communicate()
    assert line.removesuffix("\n").isprintable()
    assert PLAIN in line
    assert json.loads(line)["data"]["content"] == f"{NASTY}{PLAIN}"


@pytest.mark.parametrize("token", ["\xa0a.b.c", "a.b.c\n", "a b", "a.b.\u00e9"])
def test_a_token_with_blanks_is_refused(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    with pytest.raises(ConfigurationError, match=f"{TOKEN_VARIABLE} is not a token"):
        Watch(Settings(), "room", out=io.StringIO(), err=io.StringIO()).run()
