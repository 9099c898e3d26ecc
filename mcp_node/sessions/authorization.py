"""What a principal may do at all: its scopes, the sessions of its token, its rate of writing."""

import time
from typing import Any

from proto.errors import Forbidden, RateLimited, SessionNotFound
from proto.messages import ANONYMOUS, Principal
from proto.names import check_name
from proto.rate import Buckets
from proto.settings import Settings


class Rights:
    """The checks that every ability starts with; one for the node, because rates are counted."""

    def __init__(self, settings: Settings) -> None:
        rate = settings.writes_per_second
        self._writes = Buckets(rate, max(1.0, rate * 2))

    def may_write(self, principal: Principal) -> None:
        """Count a write against its principal's rate.

        Raises:
            Forbidden: it may not write at all.
            RateLimited: it has written too much just now.
        """
        need(principal, "write")
        verified = bool(principal.token_id)  # where AUTH=off everybody may be the same nobody
        if verified and not self._writes.allow(principal.agent_id, time.monotonic()):
            raise RateLimited("You write faster than this server takes from one principal.")


def need(principal: Principal, scope: str) -> None:
    """Refuse a principal without that scope.

    Raises:
        Forbidden: it lacks it.
    """
    if scope not in principal.scopes:
        raise Forbidden(f"This needs a token with the scope {scope}.")


def named(principal: Principal, what: str) -> None:
    """Refuse whoever has no name of its own (AUTH=off).

    Args:
        principal: who asks.
        what: what needs a name, for the error.

    Raises:
        Forbidden: it is nobody in particular.
    """
    if principal.agent_id == ANONYMOUS:
        raise Forbidden(f"Without a name there is no {what}.", "Connect with a token.")


def no_guest(principal: Principal, what: str) -> None:
    """Refuse whoever came by a live link.

    Args:
        principal: who asks.
        what: what guests may not do or have, for the error.

    Raises:
        Forbidden: it is a guest.
    """
    if principal.is_guest:
        raise Forbidden(
            f"Guests of a live link have no {what}.", "Ask whoever gave you the link to do it."
        )


def entered(principal: Principal, session_id: Any, scope: str) -> str:
    """The checked id of a session the principal may enter with that scope.

    Raises:
        Forbidden: it lacks the scope.
        InvalidInput: that is no session id.
        SessionNotFound: its token does not cover that session.
    """
    need(principal, scope)
    name = check_name(session_id, "session_id")
    if not principal.may_enter(name):
        raise SessionNotFound
    return name
