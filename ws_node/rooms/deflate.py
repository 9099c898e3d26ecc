"""Compression that viewers share: permessage-deflate (RFC 7692) without context takeover.

Each message is compressed by itself, so that the same bytes are valid on every connection that
negotiated it, and no message tells anything of another by its length.
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
"""Of every shared frame: a client that takes no such window gets no compression.

Older releases of Python's websockets ask for these; 15 would save 1 % of 8 KiB of JSON more.
"""

LEVEL: Final = 1
"""zlib's: 6 saves 3 % of 8 KiB more in half as much time again, during which nothing is sent."""

_COMPRESSED: Final = b"\xc1"
"""First byte of a final text frame with RSV1."""

_TAIL_BYTES: Final = 4
"""Of every sync flush, and left out (RFC 7692, section 7.2.1)."""


def deflated_frame(payload: bytes) -> bytes:
    """One final text frame like `ws_node.rooms.framing.text_frame`, with its message compressed."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS)
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return _COMPRESSED + text_frame(data[:-_TAIL_BYTES])[1:]


class SharedDeflate(ServerPerMessageDeflateFactory):
    """Accepts offers that frames made by `deflated_frame` are valid for, and only those."""

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
            NegotiationError: it is declined; the client may have made another.
        """
        answer, extension = super().process_request_params(params, accepted_extensions)
        if extension.local_max_window_bits < WINDOW_BITS:
            raise NegotiationError("the window is too small for shared frames")
        return answer, extension
