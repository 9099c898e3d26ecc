"""Everything the node can do for a principal, put together once around its database."""

from collections.abc import Callable
from dataclasses import dataclass

from mcp_node.inbox.inbox import Inbox
from mcp_node.inbox.presence import AgentPresence
from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.roster import Roster
from mcp_node.inbox.subscriptions import Subscriptions
from mcp_node.inbox.waiting import Waiting
from mcp_node.links.links import Links
from mcp_node.log.interface import Database
from mcp_node.memory.memory import Memory
from mcp_node.search.search import Search
from mcp_node.sessions.authorization import Rights
from mcp_node.sessions.deletion import Deletion
from mcp_node.sessions.moderation import Moderation
from mcp_node.sessions.sessions import Sessions
from proto.messages import Principal, Session
from proto.settings import Settings


@dataclass(frozen=True)
class Services:
    """What tools, resources and REST are doors to.

    ``readers``, ``subscriptions`` and ``waiting`` are what the node itself looks after: it stores
    the first, and ends the others when it stops.
    """

    sessions: Sessions
    inbox: Inbox
    roster: Roster
    presence: AgentPresence
    memory: Memory
    readers: Readers
    subscriptions: Subscriptions
    waiting: Waiting
    moderation: Moderation
    deletion: Deletion
    links: Links
    search: Search


def make_services(
    database: Database, settings: Settings, is_valid: Callable[[Principal], bool] = lambda _: True
) -> Services:
    """The services of a node, sharing one database and one count of rates.

    Args:
        database: holds the log.
        settings: of the node.
        is_valid: whether somebody's token still is; asked of whoever waits, before it hears.
    """
    rights = Rights(settings)
    readers = Readers(database)
    waiting = Waiting(settings.max_waits_per_principal)
    database.on_commit(waiting.committed)
    subscriptions = Subscriptions(database, settings)

    def changed(session: Session) -> None:
        subscriptions.session_changed(session.session_id)
        if session.closed_at is not None:
            waiting.close(session.session_id)

    sessions = Sessions(database, settings, rights, readers.seen)
    inbox = Inbox(database, sessions, readers, waiting, is_valid)
    return Services(
        sessions=sessions,
        inbox=inbox,
        roster=Roster(database, readers, waiting),
        presence=AgentPresence(database, readers, waiting),
        memory=Memory(database, settings, rights),
        readers=readers,
        subscriptions=subscriptions,
        waiting=waiting,
        moderation=Moderation(database, settings, rights, changed),
        deletion=Deletion(database, rights),
        links=Links(database, settings),
        search=Search(database, settings),
    )
