"""Compression shared by viewers: permessage-deflate (RFC 7692) without context takeover.

Each message is compressed by itself. So the same bytes are valid on every connection that
negotiated it, and the length of one message reveals nothing about another.
"""

import zlib
from collections.abc import Sequence
from typing import Final

from websockets.exceptions import NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.typing import ExtensionParameter

from ws_node.rooms.framing import text_frame

WINDOW_BITS: Final = 12
"""Window of every shared frame. A client that accepts only a smaller one gets no compression.

Older releases of Python's websockets ask for 12. With 15, 8 KiB of JSON would be 1 % smaller.
"""

LEVEL: Final = 1
"""zlib's level. 6 would save 3 % more of 8 KiB, but block the event loop 1.5 times as long."""

_COMPRESSED: Final = b"\xc1"
"""First byte of a final text frame with RSV1."""

_TAIL_BYTES: Final = 4
"""Bytes that end every sync flush; they are not sent (RFC 7692, section 7.2.1)."""


def deflated_frame(payload: bytes) -> bytes:
    """One final text frame like `ws_node.rooms.framing.text_frame`, with its message compressed."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return _COMPRESSED + text_frame(data[:-_TAIL_BYTES])[1:]


class SharedDeflate(ServerPerMessageDeflateFactory):
    """Accepts the offers under which frames of `deflated_frame` are valid, and only those."""

    def __init__(self) -> None:
        super().__init__(
            server_no_context_takeover=True,
            client_no_context_takeover=True,
            server_max_window_bits=WINDOW_BITS,
            client_max_window_bits=WINDOW_BITS,
        )

    def process_request_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Answer one offer.

        Raises:
            NegotiationError: the offer is declined; the client's next one is tried.
        """
        answer, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits < WINDOW_BITS:
            raise NegotiationError("the window is too small for shared frames")
        return answer, extension
