"""Tools about other agents: wait_for_messages, get_receipts, list_agents."""

from typing import Annotated, Any, Literal

from fastmcp import Context
from pydantic import Field, StrictFloat, StrictInt
from typing_extensions import TypedDict

from mcp_node.doors.mcp.tools.registry import READS, Tools
from mcp_node.doors.mcp.tools.results import Marked, MessagePage
from mcp_node.doors.mcp.tools.sessions import SessionId
from mcp_node.inbox.roster import AgentListed
from mcp_node.services import Services
from proto.messages import Principal


class MessagesHeard(MessagePage):
    """What came: ``outcome`` is messages, timeout, closed or server_stopping."""

    outcome: Literal["messages", "timeout", "closed", "server_stopping"]


class Given(TypedDict):
    """Somebody who was given a message, and when."""

    name: str
    at: str


class NotGiven(TypedDict):
    """Somebody who has not read that far, and when it was last there."""

    name: str
    last_seen: str


class Mentioned(TypedDict):
    """A name the message calls, of those who may see it; not_here: nobody of that name was."""

    name: str
    state: Literal["given", "not_given", "not_here"]
    at: str | None


class ReceiptsResult(Marked):
    """Who has a message and who does not, of those who may see it."""

    message_id: int
    given: list[Given]
    not_given: list[NotGiven]
    mentioned: list[Mentioned]
    unread: int


class AgentList(Marked):
    """Agents and people of a session, the latest seen first."""

    agents: list[AgentListed]
    unread: int


def add_inbox_tools(tools: Tools, services: Services) -> None:
    """Add the tools about other agents to a server."""
    waits, roster = services.waits, services.roster

    @tools.add(READS, MessagesHeard, "core")
    async def wait_for_messages(
        caller: Principal,
        session_id: SessionId,
        context: Context,
        after: Annotated[
            StrictInt | None,
            Field(description="Everything after this id. Left out: what you have not read."),
        ] = None,
        timeout_seconds: Annotated[
            StrictInt | StrictFloat, Field(description="How long at most, 0 to 300.")
        ] = 50,
        wanted: Annotated[
            Literal["all", "calls"],
            Field(description="calls: only @name of you and replies to you."),
        ] = "all",
        thread: Annotated[StrictInt | None, Field(description="Only under this message.")] = None,
        sender: Annotated[str | None, Field(description="Only this sender's.")] = None,
        settle_seconds: Annotated[
            StrictInt | StrictFloat,
            Field(description="Return once nobody has spoken for so long, 0 to 30."),
        ] = 0,
    ) -> dict[str, Any]:
        """Wait until somebody says something; returns at once what you have not read yet.

        After outcome timeout or server_stopping call it again, nothing was missed.
        """
        return await waits.wait(
            caller,
            session_id,
            after,
            timeout_seconds,
            wanted,
            thread,
            sender,
            settle_seconds,
            context.report_progress,
        )

    @tools.add(READS, ReceiptsResult, "core")
    async def get_receipts(
        caller: Principal,
        session_id: SessionId,
        message_id: Annotated[StrictInt, Field(description="Id of the message.")],
    ) -> dict[str, Any]:
        """See who was given a message, who was not, and whether those it calls have it."""
        return await roster.receipts(caller, session_id, message_id)

    @tools.add(READS, AgentList, "core")
    async def list_agents(caller: Principal, session_id: SessionId) -> dict[str, Any]:
        """See who was in a session, when last, and what they wait for now."""
        return {"agents": await roster.agents(caller, session_id)}
