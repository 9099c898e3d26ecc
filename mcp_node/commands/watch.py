"""``partyline watch``: prints a session's events in the terminal, one JSON object per line.

If the connection ends for a reason that may pass, it reconnects with ``since`` and continues where
it was, without a gap or a repeat.

Messages are text of other people, and a terminal acts on control characters. So every character
that is not printable is written as a JSON escape, which does not change the JSON value.
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
    """Watches one session.

    Args:
        settings: the address of ws_node.
        session_id: the session.
        since: start after this position; None: print only new events.
        out: where events are printed.
        err: where status messages are printed.
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
            ConfigurationError: ws_node refused the connection, and retrying would not help.
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
                self._say(f"cannot connect to ws_node: {error}")
            time.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS[1])

    def _connected(self) -> ClientConnection:
        token = own_token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        address = with_ports(self._settings).ws_address  # with WS_PORT=0 the port may have changed
        url = address.replace("http", "ws", 1) + self._path
        return connect(url, additional_headers=headers, compression=None, proxy=None)

    def _print_events(self, connection: ClientConnection) -> None:
        request: dict[str, Any] = {"type": "subscribe"}
        if self._position is not None:
            request["since"] = self._position
            if self._epoch is not None:
                request["epoch"] = self._epoch
        connection.send(json.dumps(request))
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
        note = "" if event["recovered"] else "; the log was replaced, earlier messages are gone"
        self._say(f"watching {event['session_id']} after {event['position']}{note}")

    def _say(self, text: str) -> None:
        print(f"partyline: {printable(text)}", file=self._err, flush=True)


def own_token() -> str | None:
    """The token in the environment, None if there is none.

    Raises:
        ConfigurationError: it cannot be a token.
    """
    token = os.environ.get(TOKEN_VARIABLE)
    if token and not _TOKEN.fullmatch(token):
        raise ConfigurationError(
            f"{TOKEN_VARIABLE} is not a token: it contains blanks or non-ASCII characters"
        )
    return token


def printable(text: str) -> str:
    """Escape the characters that a terminal may act on, as in JSON.

    These are the characters for which `str.isprintable` is false: control characters (C0, DEL,
    C1), line and paragraph separators, bidirectional and other format characters, and spaces other
    than U+0020. In JSON they can occur only inside strings, where the escape means the same.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
