"""The services of the node, made once around its database."""

from collections.abc import Callable
from dataclasses import dataclass

from mcp_node.coordination.claims import Claims
from mcp_node.coordination.notes import Notes
from mcp_node.coordination.statuses import Statuses
from mcp_node.inbox.inbox import Inbox
from mcp_node.inbox.pages import Pages
from mcp_node.inbox.presence import AgentPresence
from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.roster import Roster
from mcp_node.inbox.subscriptions import Subscriptions
from mcp_node.inbox.waiting import Waiting
from mcp_node.inbox.waits import Waits
from mcp_node.links.links import Links
from mcp_node.log.interface import Database
from mcp_node.memory.memory import Memory
from mcp_node.search.search import Search
from mcp_node.sessions.authorization import Rights
from mcp_node.sessions.deletion import Deletion
from mcp_node.sessions.editing import Editing
from mcp_node.sessions.moderation import Moderation
from mcp_node.sessions.reacting import Reacting
from mcp_node.sessions.sessions import Sessions
from mcp_node.sessions.watching import SessionWatch
from proto.messages import Principal, Session
from proto.settings import Settings


@dataclass(frozen=True)
class Services:
    """The services that tools, resources and REST routes call.

    ``readers``, ``subscriptions`` and ``waiting`` also have work of the node's own: it stores the
    first, and ends the others when it stops. ``session_watch`` tells those that wait for a
    session, or subscribe to it, what other nodes have changed.
    """

    sessions: Sessions
    inbox: Inbox
    waits: Waits
    roster: Roster
    presence: AgentPresence
    memory: Memory
    claims: Claims
    notes: Notes
    statuses: Statuses
    readers: Readers
    subscriptions: Subscriptions
    waiting: Waiting
    moderation: Moderation
    deletion: Deletion
    editing: Editing
    reacting: Reacting
    links: Links
    search: Search
    session_watch: SessionWatch


def make_services(
    database: Database, settings: Settings, is_valid: Callable[[Principal], bool] = lambda _: True
) -> Services:
    """Make the services of a node. They share the database and the counts of write rates.

    Args:
        database: the log.
        settings: the node's settings.
        is_valid: whether a principal's token is still valid; checked again when a wait ends.
    """
    rights = Rights(settings)
    readers = Readers(database)
    waiting = Waiting(settings.max_waits_per_principal)
    database.on_commit(waiting.committed)
    subscriptions = Subscriptions(database, settings)

    def session_changed(session: Session) -> None:
        subscriptions.session_changed(session.session_id)
        if session.closed_at is not None:
            waiting.close(session.session_id)

    watch = SessionWatch(session_changed)
    database.watch(watch)
    changed = watch.changed_here if database.shared else session_changed
    sessions = Sessions(database, settings, rights, readers.seen)
    pages = Pages(database, readers)
    claims = Claims(database, rights, readers.seen)
    inbox = Inbox(database, sessions, readers, pages, claims)
    return Services(
        sessions=sessions,
        inbox=inbox,
        waits=Waits(database, readers, pages, waiting, is_valid),
        roster=Roster(database, readers, waiting),
        presence=AgentPresence(database, readers, waiting),
        memory=Memory(database, settings, rights),
        claims=claims,
        notes=Notes(database, rights, readers.seen),
        statuses=Statuses(database, rights, readers.seen),
        readers=readers,
        subscriptions=subscriptions,
        waiting=waiting,
        moderation=Moderation(database, settings, rights, changed),
        deletion=Deletion(database, rights),
        editing=Editing(database, settings, rights),
        reacting=Reacting(database, rights),
        links=Links(database, settings),
        search=Search(database, settings),
        session_watch=watch,
    )
