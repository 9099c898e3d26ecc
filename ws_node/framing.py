"""WebSocket frames as a server sends them (RFC 6455, section 5.2): unmasked, whole, text."""


def text_frame(payload: bytes) -> bytes:
    """One final text frame around UTF-8 ``payload``: what every viewer is sent alike."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
