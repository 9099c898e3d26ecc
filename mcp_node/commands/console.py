"""The output of ``partyline up``: its own lines and those of the nodes, told apart."""

import io
import os
from collections.abc import Callable, Iterable
from typing import Final, TextIO

_COLOURS: Final = {"mcp": "36", "ws": "35", "up": "32"}
_WIDTH: Final = 3


class Console:
    """Prints lines with their origin's name in front, in colour on a terminal.

    Args:
        stream: where to; ``NO_COLOR`` in the environment turns colour off.
    """

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a narrow locale stops nothing
        self._stream = stream
        self._colour = stream.isatty() and not os.environ.get("NO_COLOR")
        self.when_gone: Callable[[], None] = lambda: None
        """Called when nobody takes the output any more."""

    def line(self, name: str, text: str) -> None:
        """Print one line."""
        label = f"{name:<{_WIDTH}} |"
        if self._colour:
            label = f"\x1b[{_COLOURS.get(name, '33')}m{label}\x1b[0m"
        self._print(f"{label} {text}")

    def block(self, lines: Iterable[str]) -> None:
        """Print lines for a person to read and copy: nothing in front of them."""
        self._print("\n".join(lines))

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._stream, flush=True)
        except OSError:
            # Later writes and the flush at exit have somewhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self.when_gone()
