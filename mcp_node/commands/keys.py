"""``partyline keys``: shows and edits whom a bridge over tcp lets in."""

from proto.keyfile import open_data_dir
from proto.settings import Settings
from serving.curve import keys as curve
from serving.curve.allow_list import AllowList


def keys(settings: Settings, *, allow: str | None, remove: str | None, server: str | None) -> str:
    """Do the one edit that is asked for, if any; what there is to say.

    Raises:
        InvalidInput: the key is not one, or not in the list it is to be taken from.
        ConfigurationError: a key file is not usable.
    """
    data_dir = open_data_dir(settings.data_dir)
    allowed = AllowList(data_dir)
    if allow is not None:
        key = curve.parse_key(allow)
        allowed.add(key)
        return f"ws_node now lets in {key}"
    if remove is not None:
        key = curve.parse_key(remove)
        allowed.remove(key)
        return f"ws_node lets in no more {key}"
    if server is not None:
        key = curve.parse_key(server)
        curve.trust_server(data_dir, key)
        return f"mcp_node will send, from its next start on, only to the ws_node {key}"
    trusted, own_server = curve.trusted_server(data_dir), curve.server_keys(data_dir).public
    rows = [
        ("mcp_node is", allowed.own),
        ("mcp_node sends to", trusted + (" (the ws_node here)" if trusted == own_server else "")),
        ("ws_node is", own_server),
        ("ws_node lets in", f"{allowed.own} (the mcp_node here)"),
        *(("ws_node lets in", key) for key in sorted(allowed.listed() - {allowed.own})),
    ]
    return "\n".join(f"{name:<19}{key}" for name, key in rows)
