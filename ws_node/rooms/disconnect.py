"""Why a viewer's connection ends: the one table of close codes.

4000 to 4499: the client should reconnect with ``since``, its last position. 4500 to 4999: it should
not reconnect before it changes its token or its request.
"""

from enum import Enum


class Disconnect(Enum):
    """A close code and the reason sent with it."""

    SLOW = (4000, "too slow: reconnect with since")
    RESTART = (4001, "the server restarts: reconnect with since")
    LOG_REPLACED = (4002, "the log was replaced: reload")
    HISTORY_UNAVAILABLE = (4003, "history is unavailable: reconnect with since")
    AUTH_DIFFERS = (
        4004,
        "the nodes differ in PARTYLINE_AUTH: reconnect with since once that is mended",
    )
    BAD_TOKEN = (4500, "a valid token is needed")
    FORBIDDEN = (4501, "this token does not cover that session")
    BAD_REQUEST = (4502, "the address or its parameters are not valid")
    TOKEN_EXPIRED = (4503, "the token has expired")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    @property
    def reconnect(self) -> bool:
        """Whether a client should reconnect with ``since``."""
        return self.code < 4500
