"""``partyline keys``: shows and edits the keys of nodes on several machines."""

from proto.keyfile import open_data_dir
from proto.settings import Settings
from serving.bus import nkeys
from serving.curve import keys as curve
from serving.curve.allow_list import AllowList


def keys(
    settings: Settings, *, allow: str | None, remove: str | None, server: str | None, nats: bool
) -> str:
    """Make the one requested change, if any; return the text to print.

    Args:
        settings: for the data directory.
        allow: the key of an mcp_node, for the allow-list of this ws_node.
        remove: the key to take out of that list.
        server: the key of the ws_node that this mcp_node is to send to.
        nats: whether to print the nodes' public keys for nats-server instead.

    Raises:
        InvalidInput: the key is malformed, or not in the allow-list it is to be removed from.
        ConfigurationError: a key file cannot be used.
    """
    data_dir = open_data_dir(settings.data_dir)
    if nats:
        return "\n".join(
            f"{node.upper()}_NKEY={nkeys.public_key(nkeys.own_key(data_dir, node))}"
            for node in nkeys.FILES
        )
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
