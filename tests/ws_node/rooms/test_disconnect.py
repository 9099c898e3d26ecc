"""The table of close codes."""

from pathlib import Path

import pytest
from websockets.frames import Close

from ws_node.rooms.disconnect import Disconnect

CODES = {
    "SLOW": 4000,
    "RESTART": 4001,
    "LOG_REPLACED": 4002,
    "HISTORY_UNAVAILABLE": 4003,
    "AUTH_DIFFERS": 4004,
    "BAD_TOKEN": 4500,
    "FORBIDDEN": 4501,
    "BAD_REQUEST": 4502,
    "TOKEN_EXPIRED": 4503,
}


def test_close_codes_are_the_documented_ones() -> None:
    assert {why.name: why.code for why in Disconnect} == CODES


@pytest.mark.parametrize("why", list(Disconnect))
def test_close_reasons_fit_a_frame_and_say_whether_to_reconnect(why: Disconnect) -> None:
    assert len(Close(why.code, why.reason).serialize()) <= 125
    assert why.reconnect == (4000 <= why.code <= 4499)
    assert 4000 <= why.code <= 4999


def test_no_other_file_names_a_close_code() -> None:
    folder = Path(__file__).parents[3] / "ws_node"
    for file in folder.rglob("*.py"):
        if file.name != "disconnect.py":
            text = file.read_text("utf-8")
            assert not any(f"({code}" in text or f"= {code}" in text for code in CODES.values())
