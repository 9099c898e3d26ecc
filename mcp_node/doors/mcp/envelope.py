"""Checks the envelope of a JSON-RPC message before the MCP library parses it.

The library's own refusal repeats the whole message and describes how it was parsed.
"""

import re
from typing import Any, Final

from proto.errors import InvalidInput

_METHOD: Final = re.compile(r"[A-Za-z$][A-Za-z0-9$/._-]{0,63}")
"""Names of methods. The library repeats an unknown one in its answer, so no others may pass."""


def check_envelope(value: Any) -> None:
    """Refuse a body that is not one JSON-RPC 2.0 request, notification or response.

    Raises:
        InvalidInput: it is something else, such as a batch.
    """
    well_formed = (
        isinstance(value, dict)
        and value.get("jsonrpc") == "2.0"
        and ("id" not in value or type(value["id"]) in (int, str))
        and (_is_request(value) or _is_answer(value))
    )
    if not well_formed:
        raise InvalidInput("The body must be one JSON-RPC 2.0 message.")


def _is_request(value: dict[str, Any]) -> bool:
    method = value.get("method")
    return (
        isinstance(method, str)
        and _METHOD.fullmatch(method) is not None
        and isinstance(value.get("params", {}), dict)
    )


def _is_answer(value: dict[str, Any]) -> bool:
    if "method" in value or "id" not in value:
        return False
    error = value.get("error")
    return isinstance(value.get("result"), dict) or (
        isinstance(error, dict)
        and type(error.get("code")) is int
        and isinstance(error.get("message"), str)
    )
