"""Prints the page's table of hidden characters from `proto.hidden`: ``make docs`` writes it."""

import re
from typing import Final

from proto.hidden import HIDDEN, NEEDED

_HEAD: Final = """\
// Made by `make docs` from proto/hidden.py, which explains it. Do not edit.

"""
_COLUMNS: Final = 96


def _escaped(pattern: str) -> str:
    """A pattern as the inside of a JavaScript string, in ASCII."""
    return "".join(
        one if one.isascii() and one.isprintable() else f"\\\\u{{{ord(one):X}}}" for one in pattern
    )


def _constant(name: str, meaning: str, pattern: str) -> str:
    parts = re.findall(r"\\\\u\{[0-9A-F]+\}|.", _escaped(pattern))
    lines = [""]
    for part in parts:
        if len(lines[-1]) + len(part) > _COLUMNS - 8:
            lines.append("")
        lines[-1] += part
    text = " +\n".join(f'  "{line}"' for line in lines)
    return f"/** {meaning} */\nexport const {name} =\n{text};\n"


def table() -> str:
    """The file: both patterns as sources for `RegExp` with the flag ``u``."""
    assert '"' not in HIDDEN.pattern + NEEDED.pattern
    return _HEAD + "\n".join(
        (
            _constant("HIDDEN", "A character that nobody sees.", HIDDEN.pattern),
            _constant(
                "NEEDED", "Such characters where ordinary writing needs them.", NEEDED.pattern
            ),
        )
    )


if __name__ == "__main__":
    print(table(), end="")
