"""The internal API: what processes of one deployment ask each other over HTTP.

Requests go over a Unix socket in the data directory, or signed to another machine
(`serving.peers`). At the ports of the nodes these routes do not exist. Bodies and answers are JSON.

======  ==========================  ==================  ===========================
method  path                        body                answer
======  ==========================  ==================  ===========================
GET     /api/standing               none                `Standing`
GET     /api/revocations            none                `RevocationsAnswer`
POST    /api/revocations            what to revoke      `RevocationsAnswer` (201)
GET     /api/heads?after=ID         none                `Heads`
GET     /api/heads/{session_id}     none                `SessionHead`
POST    /api/log                    `LogRequest`        `LogPage`
POST    /api/agents                 `AgentsRequest`     `AgentsAnswer`
GET     /api/links                  none                the newest links
POST    /api/links                  what to mint        the link (201)
POST    /api/prune                  what to prune       how far it got
======  ==========================  ==================  ===========================

Only the command line asks the last three and POST /api/revocations: their bodies are defined with
their routes. The bridge over HTTP is described in `proto.wire`.
"""

from typing import Final

import msgspec

from proto.frames import AgentHere
from proto.messages import Audience, Message
from proto.revocations import Revocation

PREFIX: Final = "/api/"
STANDING: Final = "/api/standing"
REVOCATIONS: Final = "/api/revocations"
HEADS: Final = "/api/heads"
SESSION_HEAD: Final = "/api/heads/{session_id}"
LOG: Final = "/api/log"
AGENTS: Final = "/api/agents"
LINKS: Final = "/api/links"
PRUNE: Final = "/api/prune"

INTERNAL_PATHS: Final = frozenset({STANDING, REVOCATIONS, HEADS, LOG, AGENTS, LINKS, PRUNE})
"""Every path of the internal API, without what may follow it."""

REDEEM: Final = "/api/redeem"
"""Public: exchanges the code of a link for a token. ws_node forwards it for the page."""

MAX_REDEEM_BYTES: Final = 1_024
"""Bytes of a body posted to `REDEEM`."""

MAX_LOG_PAGE: Final = 1_000
"""Messages that one `LogRequest` may ask for."""

MAX_AGENTS_SESSIONS: Final = 500
"""Sessions that one `AgentsRequest` may name."""


class Standing(msgspec.Struct, frozen=True):
    """Whether ws_node may trust what it knows; it compares each answer with the one before.

    Attributes:
        epoch: of the log.
        opened_at: when mcp_node opened the log, seconds of Unix time; 0 if several mcp_nodes may.
        auth: mcp_node's ``PARTYLINE_AUTH``.
        revocations: number of the last revocation.
    """

    epoch: str
    opened_at: float
    auth: str
    revocations: int


class RevocationsAnswer(msgspec.Struct, frozen=True):
    """Every revocation; after a POST, those that it made."""

    revocations: list[Revocation]


class Heads(msgspec.Struct, frozen=True):
    """Which sessions have entries after an id.

    Attributes:
        epoch: of the log.
        head: the log's last id.
        changed: the last id of each of these sessions.
        through: the id up to which the log was searched; ``head`` if it was searched to its end.
        pruned: a number that grows with each pruning. After that, what ws_node holds may have
            been pruned.
    """

    epoch: str
    head: int
    changed: dict[str, int]
    through: int
    pruned: int = 0


class LogStart(msgspec.Struct, frozen=True, array_like=True):
    """What the log was at a moment at which an mcp_node started.

    Attributes:
        at: seconds of Unix time.
        head: the log's last id then.
        quiet_since: nothing was committed from then until ``at``, in seconds of Unix time by the
            clock of whichever mcp_node committed; 0: only the mcp_node that started then commits.
    """

    at: float
    head: int
    quiet_since: float = 0.0


class SessionHead(msgspec.Struct, frozen=True):
    """The last ids of a session and of the log, from one snapshot.

    Attributes:
        epoch: of the log.
        id: the session's last id; 0 if it is empty.
        log_head: the log's last id. Up to it, ws_node then knows the session.
        starts: the latest starts of mcp_node. From these ws_node computes what it owes to viewers
            who came while mcp_node was down.
    """

    epoch: str
    id: int
    log_head: int
    starts: list[LogStart]


class LogRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Asks for entries of a session after an id; unfiltered without an audience.

    Attributes:
        session_id: the session.
        after: an id, or 0.
        limit: 1 to `MAX_LOG_PAGE`.
        audience: who is to see the entries.
    """

    session_id: str
    after: int
    limit: int
    audience: Audience | None = None


class LogPage(msgspec.Struct, frozen=True):
    """Entries of one session, from one snapshot.

    Attributes:
        epoch: of the log.
        head: the session's last id; 0 if it is empty.
        through: how far the session was read. The last entry's id if the page is full; else the
            session's last id (or ``after`` if that is larger), even if nothing was visible.
        messages: ascending by id.
    """

    epoch: str
    head: int
    through: int
    messages: list[Message]


class AgentsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Asks which agents are at work in sessions, at most `MAX_AGENTS_SESSIONS`."""

    session_ids: list[str]


class AgentsAnswer(msgspec.Struct, frozen=True):
    """The agents at work in each session; sessions without any are left out."""

    agents: dict[str, tuple[AgentHere, ...]]
