"""The output of ``partyline up``: its own lines and those of the nodes, labelled."""

import io
import os
from collections.abc import Callable, Iterable
from typing import Final, TextIO

_COLOURS: Final = {"mcp": "36", "ws": "35", "up": "32"}


class Console:
    """Prints lines, each with a label for its origin, in colour on a terminal.

    Args:
        stream: the output. ``NO_COLOR`` in the environment turns colour off.
        width: of the labels. A label may end in the number of a node.
    """

    def __init__(self, stream: TextIO, width: int = 3) -> None:
        if isinstance(stream, io.TextIOWrapper):
            # A locale that cannot encode a character must not stop the nodes.
            stream.reconfigure(errors="backslashreplace")
        self._stream = stream
        self._width = width
        self._colour = stream.isatty() and not os.environ.get("NO_COLOR")
        self.on_closed: Callable[[], None] = lambda: None
        """Called when the output was closed by its reader."""

    def line(self, name: str, text: str) -> None:
        """Print one line."""
        label = f"{name:<{self._width}} |"
        if self._colour:
            label = f"\x1b[{_COLOURS.get(name.rstrip('0123456789'), '33')}m{label}\x1b[0m"
        self._print(f"{label} {text}")

    def block(self, lines: Iterable[str]) -> None:
        """Print lines without labels, for a person to read and copy."""
        self._print("\n".join(lines))

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._stream, flush=True)
        except OSError:
            # Later writes, and the flush at exit, must not fail.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self.on_closed()
