"""Everything the node can do for a principal, put together once around its store."""

from dataclasses import dataclass

from mcp_node.rooms.rights import Rights
from mcp_node.rooms.rooms import Rooms
from mcp_node.store.interface import Store
from proto.settings import Settings


@dataclass(frozen=True)
class Abilities:
    """What tools, resources and REST are doors to."""

    rooms: Rooms


def make_abilities(store: Store, settings: Settings) -> Abilities:
    """The abilities of a node, sharing one store and one count of rates."""
    rights = Rights(settings)
    return Abilities(rooms=Rooms(store, settings, rights))
