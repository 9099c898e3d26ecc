"""Who calls a REST route: the principal of the Authorization header."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request

from proto.messages import Principal
from serving.http.identity import Identity


def install_identity(api: FastAPI, identity: Identity) -> None:
    """Set the identity by which an app's routes know their `Caller`."""
    api.state.identity = identity


async def _caller(request: Request) -> Principal:
    identity: Identity = request.app.state.identity
    return identity.from_headers(request.headers.raw)


Caller = Annotated[Principal, Depends(_caller)]
"""The type of a route's parameter for the calling principal; without a valid token it is 401."""
