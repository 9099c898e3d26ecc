"""``partyline watch``: a session's events in the terminal, one JSON text a line.

It keeps watching: when the connection ends for a reason that passes, it comes back with ``since``
and goes on where it was, without a hole or a repeat.

Messages are other people's text and the terminal obeys control characters, so everything that is
not printable is written as a JSON escape. The JSON value stays the same, for a pipe too.
"""

import json
import os
import re
import sys
import time
from typing import Any, Final, TextIO

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from proto.errors import ConfigurationError
from proto.names import check_name
from proto.settings import TOKEN_VARIABLE, Settings
from serving.process.address import with_ports

LAST_TO_RETRY: Final = 4_499
PAUSE_SECONDS: Final = (0.5, 5.0)

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class Watch:
    """One session being watched.

    Args:
        settings: where ws_node is.
        session_id: the session.
        since: the position to start from; None for what happens from now on.
        out: where events go; what there is to say about them goes to ``err``.
    """

    def __init__(
        self,
        settings: Settings,
        session_id: str,
        since: int | None = None,
        out: TextIO = sys.stdout,
        err: TextIO = sys.stderr,
    ) -> None:
        name = check_name(session_id, "session_id")
        self._settings = settings
        self._path = f"/ws/{name}"
        self._position = since
        self._epoch: str | None = None
        self._out = out
        self._err = err

    def run(self) -> None:
        """Watch until interrupted.

        Raises:
            ConfigurationError: ws_node will not have us; trying again would not help.
        """
        pause = PAUSE_SECONDS[0]
        while True:
            try:
                with self._connected() as connection:
                    pause = PAUSE_SECONDS[0]
                    self._print_events(connection)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                reason = printable(closed.rcvd.reason) if closed.rcvd else "the connection was lost"
                if code > LAST_TO_RETRY:
                    raise ConfigurationError(f"{reason} ({TOKEN_VARIABLE}, {code})") from None
                self._say(f"{reason} ({code})")
            except (OSError, InvalidHandshake, TimeoutError) as error:
                self._say(f"ws_node does not answer: {error}")
            time.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS[1])

    def _connected(self) -> ClientConnection:
        token = os.environ.get(TOKEN_VARIABLE)
        if token and not _TOKEN.fullmatch(token):
            raise ConfigurationError(
                f"{TOKEN_VARIABLE} is not a token: it has blanks or characters outside ASCII"
            )
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        address = with_ports(self._settings).ws_address  # with WS_PORT 0 it may have moved
        url = address.replace("http", "ws", 1) + self._path
        return connect(url, additional_headers=headers, compression=None, proxy=None)

    def _print_events(self, connection: ClientConnection) -> None:
        wish: dict[str, Any] = {"type": "subscribe"}
        if self._position is not None:
            wish["since"] = self._position
            if self._epoch is not None:
                wish["epoch"] = self._epoch
        connection.send(json.dumps(wish))
        for text in connection:
            event = json.loads(text)
            if event["type"] == "subscribed":
                self._subscribed(event)
                continue
            self._position = event.get("position", self._position)
            line = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            print(printable(line), file=self._out, flush=True)

    def _subscribed(self, event: dict[str, Any]) -> None:
        self._epoch, self._position = event["epoch"], event["position"]
        note = "" if event["recovered"] else "; the log is another one, what was before is gone"
        self._say(f"watching {event['session_id']} after {event['position']}{note}")

    def _say(self, text: str) -> None:
        print(f"partyline: {printable(text)}", file=self._err, flush=True)


def printable(text: str) -> str:
    """A text on one line, with JSON escapes for the characters that a terminal may act on.

    Escaped is what `str.isprintable` is false for: control characters (C0, DEL, C1), line and
    paragraph separators, bidirectional and other format characters, blanks other than the space.
    In a JSON text these can only be inside strings, where the escape means the same.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
