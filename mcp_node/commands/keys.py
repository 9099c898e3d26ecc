"""``partyline keys``: shows and edits the keys that a bridge over tcp accepts."""

from proto.keyfile import open_data_dir
from proto.settings import Settings
from serving.curve import keys as curve
from serving.curve.allow_list import AllowList


def keys(settings: Settings, *, allow: str | None, remove: str | None, server: str | None) -> str:
    """Make the one requested change, if any; return the text to print.

    Raises:
        InvalidInput: the key is malformed, or not in the allow-list it is to be removed from.
        ConfigurationError: a key file cannot be used.
    """
    data_dir = open_data_dir(settings.data_dir)
    allowed = AllowList(data_dir)
    if allow is not None:
        key = curve.parse_key(allow)
        allowed.add(key)
        return f"ws_node now accepts {key}"
    if remove is not None:
        key = curve.parse_key(remove)
        allowed.remove(key)
        return f"ws_node no longer accepts {key}"
    if server is not None:
        key = curve.parse_key(server)
        curve.trust_server(data_dir, key)
        return f"From its next start on, mcp_node sends only to the ws_node {key}"
    trusted, own_server = curve.trusted_server(data_dir), curve.server_keys(data_dir).public
    rows = [
        ("mcp_node is", allowed.own),
        ("mcp_node sends to", trusted + (" (the ws_node here)" if trusted == own_server else "")),
        ("ws_node is", own_server),
        ("ws_node accepts", f"{allowed.own} (the mcp_node here)"),
        *(("ws_node accepts", key) for key in sorted(allowed.listed() - {allowed.own})),
    ]
    return "\n".join(f"{name:<19}{key}" for name, key in rows)
