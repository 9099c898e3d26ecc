"""Subjects of the bus: under which names a deployment publishes over NATS.

===============================  =======================  ============  ====================
subject                          content                  published by  received by
===============================  =======================  ============  ====================
partyline.DEPLOYMENT.s.SESSION   messages of the log      mcp_node      who shows the session
partyline.DEPLOYMENT.x.SESSION   events of /broadcast     ws_node       who shows the session
partyline.DEPLOYMENT.viewers     how many watch what      ws_node       every ws_node
partyline.DEPLOYMENT.commits     empty: a hint            mcp_node      other mcp_nodes
===============================  =======================  ============  ====================

A name of a session may contain dots, which separate the tokens of a subject; each becomes a colon,
which is in no name. All other characters of a name are allowed in a token.
"""

import re
from typing import Final

DEPLOYMENT_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"

MESSAGE: Final = b"s"
EXTERNAL: Final = b"x"

_DEPLOYMENT: Final = re.compile(DEPLOYMENT_PATTERN)


def is_deployment(name: str) -> bool:
    """Whether ``name`` can name a deployment: 1 to 64 of ``A-Z a-z 0-9 _ -``."""
    return _DEPLOYMENT.fullmatch(name) is not None


class Subjects:
    """The subjects of one deployment.

    Attributes:
        viewers: of the viewers' counts.
        commits: tells mcp_nodes that another one has committed messages.

    Args:
        deployment: its name (`is_deployment`).
    """

    def __init__(self, deployment: str) -> None:
        self._prefix = f"partyline.{deployment}."
        self._length = len(self._prefix)
        self.viewers = f"{self._prefix}viewers"
        self.commits = f"{self._prefix}commits"

    def message(self, session_id: str) -> str:
        """Of a session's messages."""
        return f"{self._prefix}s.{session_id.replace('.', ':')}"

    def external(self, session_id: str) -> str:
        """Of a session's external events."""
        return f"{self._prefix}x.{session_id.replace('.', ':')}"

    def session(self, session_id: str) -> str:
        """Matches both of a session's subjects."""
        return f"{self._prefix}*.{session_id.replace('.', ':')}"

    def parse(self, subject: bytes) -> tuple[bytes, bytes]:
        """Kind (`MESSAGE`, `EXTERNAL`) and session id of one of this deployment's subjects.

        Other subjects give another kind, or an id that is not a name: the caller checks both.
        """
        kind, _, token = subject[self._length :].partition(b".")
        return kind, token.replace(b":", b".")
