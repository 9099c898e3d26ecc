"""Everything the node can do for a principal, put together once around its store."""

from collections.abc import Callable
from dataclasses import dataclass

from mcp_node.inbox.inbox import Hearing
from mcp_node.inbox.presence import Presence
from mcp_node.inbox.read_positions import Readers
from mcp_node.inbox.roster import Attending
from mcp_node.inbox.subscriptions import Subscriptions
from mcp_node.inbox.waiting import Waiting
from mcp_node.links.links import Links
from mcp_node.log.interface import Store
from mcp_node.memory.memory import Memory
from mcp_node.search.search import Search
from mcp_node.sessions.authorization import Rights
from mcp_node.sessions.deletion import Deletion
from mcp_node.sessions.moderation import Moderation
from mcp_node.sessions.sessions import Rooms
from proto.messages import Principal, Session
from proto.settings import Settings


@dataclass(frozen=True)
class Abilities:
    """What tools, resources and REST are doors to.

    ``readers``, ``subscriptions`` and ``waiting`` are what the node itself looks after: it stores
    the first, and ends the others when it stops.
    """

    rooms: Rooms
    hearing: Hearing
    attending: Attending
    presence: Presence
    memory: Memory
    readers: Readers
    subscriptions: Subscriptions
    waiting: Waiting
    moderation: Moderation
    deletion: Deletion
    links: Links
    search: Search


def make_abilities(
    store: Store, settings: Settings, is_valid: Callable[[Principal], bool] = lambda _: True
) -> Abilities:
    """The abilities of a node, sharing one store and one count of rates.

    Args:
        store: the log.
        settings: of the node.
        is_valid: whether somebody's token still is; asked of whoever waits, before it hears.
    """
    rights = Rights(settings)
    readers = Readers(store)
    waiting = Waiting(settings.max_waits_per_principal)
    store.on_commit(waiting.committed)
    subscriptions = Subscriptions(store, settings)

    def changed(session: Session) -> None:
        subscriptions.session_changed(session.session_id)
        if session.closed_at is not None:
            waiting.close(session.session_id)

    rooms = Rooms(store, settings, rights, readers)
    hearing = Hearing(store, rooms, readers, waiting, is_valid)
    return Abilities(
        rooms=rooms,
        hearing=hearing,
        attending=Attending(store, readers, waiting),
        presence=Presence(store, readers, waiting),
        memory=Memory(store, settings, rights),
        readers=readers,
        subscriptions=subscriptions,
        waiting=waiting,
        moderation=Moderation(store, settings, rights, changed),
        deletion=Deletion(store, rights),
        links=Links(store, settings),
        search=Search(store, settings),
    )
