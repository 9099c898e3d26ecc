"""What a principal may do: the scopes and sessions of its token, and its rate of writes."""

import time
from typing import Any

from proto.errors import Forbidden, RateLimited, SessionNotFound
from proto.messages import ANONYMOUS, Principal
from proto.names import check_name
from proto.rate import Buckets
from proto.settings import Settings


class Rights:
    """Checks the right to write and counts writes. A node has one, shared by its services."""

    def __init__(self, settings: Settings) -> None:
        rate = settings.writes_per_second
        self._burst = max(1.0, rate * 2)
        self._limited = rate > 0
        self._writes = Buckets(rate, self._burst)

    def may_write(self, principal: Principal, writes: int = 1) -> None:
        """Count writes against their principal's rate, all or none.

        Raises:
            Forbidden: it lacks the scope ``write``.
            RateLimited: it writes faster than the settings allow.
        """
        need(principal, "write")
        verified = bool(principal.token_id)  # with AUTH=off any caller may claim any name
        if verified and self._limited and writes > self._burst:
            raise RateLimited(
                f"This server takes {int(self._burst)} writes at once from one principal.",
                "Put fewer into one call.",
            )
        if verified and not self._writes.allow(principal.agent_id, time.monotonic(), writes):
            raise RateLimited("You write faster than this server takes from one principal.")


def need(principal: Principal, scope: str) -> None:
    """Refuse a principal that lacks a scope.

    Raises:
        Forbidden: it lacks the scope.
    """
    if scope not in principal.scopes:
        raise Forbidden(f"This needs a token with the scope {scope}.")


def named(principal: Principal, what: str) -> None:
    """Refuse an anonymous caller (possible with AUTH=off).

    Args:
        principal: the caller.
        what: what needs a name, for the error text.

    Raises:
        Forbidden: the caller is anonymous.
    """
    if principal.agent_id == ANONYMOUS:
        raise Forbidden(f"Without a name there is no {what}.", "Connect with a token.")


def no_guest(principal: Principal, what: str) -> None:
    """Refuse a guest, that is, a caller who came by a live link.

    Args:
        principal: the caller.
        what: what guests may not do or have, for the error text.

    Raises:
        Forbidden: the caller is a guest.
    """
    if principal.is_guest:
        raise Forbidden(
            f"Guests of a live link have no {what}.", "Ask whoever gave you the link to do it."
        )


def entered(principal: Principal, session_id: Any, scope: str) -> str:
    """The id of a session, once it is checked that the principal may enter it.

    Whether the session exists is not checked.

    Raises:
        Forbidden: the principal lacks the scope.
        InvalidInput: this is not a well-formed session id.
        SessionNotFound: the principal's token does not cover the session.
    """
    need(principal, scope)
    name = check_name(session_id, "session_id")
    if not principal.may_enter(name):
        raise SessionNotFound
    return name
