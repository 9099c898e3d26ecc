"""Tools about an agent's own memory: set_memory, get_memory, list_memory, delete_memory."""

from typing import Annotated, Any, NotRequired

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr
from typing_extensions import TypedDict

from mcp_node.doors.mcp.tools.registry import CHANGES, READS, Tools
from mcp_node.doors.mcp.tools.results import Marked
from mcp_node.memory.memory import Memory
from proto.messages import Principal

Key = Annotated[
    str,
    Field(description="Its name, such as plan/next-step: at most 128 printable characters."),
]
OfSession = Annotated[
    str | None,
    Field(description="The session it belongs to; left out: to none. Each has keys of its own."),
]
Json = StrictStr | StrictInt | StrictFloat | StrictBool | dict[str, Any] | list[Any] | None


class MemorySet(TypedDict):
    """Whether the key is new, and when its value was written and ends (UTC; null: never)."""

    created: bool
    updated_at: str
    expires_at: str | None


class MemoryValue(Marked):
    """What is remembered under a key."""

    key: str
    value: Any
    session_id: str | None
    updated_at: str
    expires_at: str | None
    hidden_characters: NotRequired[int]


class MemoryListed(TypedDict):
    """A key, and the bytes of its value as JSON."""

    key: str
    bytes: int
    updated_at: str
    expires_at: str | None
    hidden_characters: NotRequired[int]


class MemoryList(Marked):
    """Keys in order; page on with ``after`` the last."""

    memories: list[MemoryListed]
    has_more: bool


class MemoryDeleted(TypedDict):
    """Whether there was anything to forget."""

    deleted: bool


def add_memory_tools(tools: Tools, memory: Memory) -> None:
    """Add the memory tools to a server."""

    @tools.add(CHANGES, MemorySet, "memory")
    async def set_memory(
        caller: Principal,
        key: Key,
        value: Annotated[Json, Field(description="Any JSON value, at most 64 KiB.")],
        session_id: OfSession = None,
        expires_in: Annotated[
            str | StrictInt | None,
            Field(description="How long to keep it: 90s, 30m, 24h, 7d; left out: for ever."),
        ] = None,
        overwrite: Annotated[
            StrictBool,
            Field(description="false: an error if the key is taken, such as to claim it once."),
        ] = True,
    ) -> dict[str, Any]:
        """Keep something for yourself beyond this conversation: decisions, progress, next steps.

        Only you and agents with your name can read it. To tell others, use add_message.
        """
        return await memory.set(caller, key, value, session_id, expires_in, overwrite)

    @tools.add(READS, MemoryValue, "memory")
    async def get_memory(
        caller: Principal, key: Key, session_id: OfSession = None
    ) -> dict[str, Any]:
        """Read what you kept under a key. Use list_memory if you do not know the key."""
        return await memory.get(caller, key, session_id)

    @tools.add(READS, MemoryList, "memory")
    async def list_memory(
        caller: Principal,
        prefix: Annotated[
            str, Field(description="Only keys that begin with this, such as plan/.")
        ] = "",
        session_id: OfSession = None,
        after: Annotated[
            str | None, Field(description="Only keys behind this one, to page on.")
        ] = None,
        limit: Annotated[StrictInt, Field(description="How many at most, 1 to 1000.")] = 50,
    ) -> dict[str, Any]:
        """See which keys you keep, without their values. Use it when you start or resume work."""
        return await memory.list(caller, prefix, session_id, after, limit)

    @tools.add(CHANGES, MemoryDeleted, "memory")
    async def delete_memory(
        caller: Principal, key: Key, session_id: OfSession = None
    ) -> dict[str, Any]:
        """Forget what you kept under a key. It is no error if there is nothing."""
        return await memory.delete(caller, key, session_id)
