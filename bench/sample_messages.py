"""Messages as agents write them: pieces of this repository's prose and code, as JSON of one size.

What compression makes of them is what it makes of such text; padding would flatter it.
"""

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from proto.frames import message_frame
from proto.messages import Message, Visibility

_ROOT = Path(__file__).resolve().parent.parent
_EMPTY = msgspec.Raw(b"{}")


def messages(session_id: str, ids: Iterator[int], count: int, size: int) -> Iterator[Message]:
    """The next messages of a session whose log is empty; the frame of each has ``size`` bytes."""
    choice, prev = random.Random(f"{session_id} {size}"), 0
    for id_, _ in zip(ids, range(count), strict=False):
        yield _message(session_id, id_, prev, choice, size)
        prev = id_


def _message(session_id: str, id_: int, prev: int, choice: random.Random, size: int) -> Message:
    at = f"2026-11-24T{choice.randrange(24):02}:17:{choice.randrange(60):02}.{id_ % 10**6:06}Z"
    message = Message(
        *(id_, prev, session_id, "claude", "claude", "claude", ""),
        *(Visibility.PUBLIC, at, _EMPTY, None),
    )
    room = size - len(message_frame(message))
    if room < 0:
        raise ValueError(f"{size} bytes are too few for a frame")
    start = choice.randrange(len(_text()) - size)
    content = _text()[start : start + room]
    while (escapes := len(msgspec.json.encode(content)) - 2 - room) > 0:
        content = content[:-escapes]
    return msgspec.structs.replace(message, content=content + "." * -escapes)


@cache
def _text() -> str:
    files = [*_ROOT.glob("docs/*.md"), *_ROOT.glob("ws_node/*.py"), *_ROOT.glob("mcp_node/*.py")]
    return "\n".join(file.read_text("utf-8") for file in sorted(files))
