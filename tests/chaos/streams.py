"""Viewers of server-sent events, ``GET /events/{session_id}``: HTTP read as bytes."""

import asyncio
import contextlib
import itertools
from typing import ClassVar, Final
from urllib.parse import urlencode

from tests.chaos.viewer_log import Frame, decode
from tests.chaos.viewers import Viewer
from tests.clients import UNANSWERED, plain_client

_markers: Final = itertools.count(1)


class StreamViewer(Viewer):
    """A viewer of one session; half of the times it comes back with ``Last-Event-ID``."""

    kind: ClassVar[str] = "stream"
    _writer: asyncio.StreamWriter | None = None
    _marker = 0

    @property
    def _connected(self) -> bool:
        return self._writer is not None

    async def _watch(self) -> None:
        [viewer_log] = self.viewer_logs.values()
        try:
            sock = await self._open()
            reader, self._writer = await asyncio.open_connection(sock=sock)
            viewer_log.connected()
            self._writer.write(self._request())
            async with asyncio.timeout(10):
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
            status = head.split(b" ", 2)[1]
            if status == b"200":
                assert b"transfer-encoding: chunked" in head, head
                self._came()
                await self._read(reader)
            elif status != b"503":
                self.breaches.append(f"{self.name}: {head.decode('latin-1')}")
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            if self._writer is not None:
                self._writer.transport.abort()
            self._writer = None

    def _request(self) -> bytes:
        [viewer_log] = self.viewer_logs.values()
        since, query, headers = viewer_log.ask(), {}, dict(self._headers)
        if since is not None:
            query["since"] = str(since)
            if viewer_log.epoch is not None:
                query["epoch"] = viewer_log.epoch
            if viewer_log.got and self._rng.random() < 0.5:  # the address stays as it first was
                query["since"] = str(viewer_log.start or 0)
                headers["Last-Event-ID"] = str(since)
        lines = [
            f"GET /events/{viewer_log.room}?{urlencode(query)} HTTP/1.1",
            f"Host: 127.0.0.1:{self._pair.ws_port}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Read events until the stream ends."""
        text = b""
        while size := int(await reader.readline() or b"0", 16):
            text += (await reader.readexactly(size + 2))[:-2]
            *events, text = text.split(b"\n\n")
            for event in events:
                self._event(event)
                await self._pause()

    def _event(self, event: bytes) -> None:
        lines = (line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":"))
        fields = {name: value for name, value in lines}
        if not fields:
            return
        frame = decode(fields[b"data"])
        if fields.get(b"event") == b"disconnect":
            assert isinstance(frame.code, int)
            self._closed(frame.code)
            return
        if (None if b"id" not in fields else int(fields[b"id"])) != _id_of(frame):
            self.breaches.append(f"{self.name}: id {fields.get(b'id')!r} of {frame}")
        if frame.origin == "external" and frame.data is not None:
            self._marker = max(self._marker, frame.data.marker)
        self._receive(frame)

    def cut(self) -> bool:
        """Cut its connection."""
        if self._writer is None:
            return False
        self._writer.transport.abort()
        return True

    async def subscribe_again(self) -> bool:
        """Come back at once, as a page that is loaded again."""
        self._failures = -1
        return self.cut()

    async def has_everything(self) -> None:
        """Wait for an external event that is sent now."""
        [room] = self.viewer_logs
        async with plain_client(base_url=self._pair.ws_url) as client:
            while True:
                number = next(_markers)
                event = {"type": "marker", "data": {"marker": number}}
                with contextlib.suppress(*UNANSWERED):
                    await client.post(f"/broadcast/{room}", json=event)
                for _ in range(20):
                    if self._marker >= number:
                        return
                    await asyncio.sleep(0.05)


def _id_of(frame: Frame) -> int | None:
    """The id its event must have."""
    return frame.position if frame.type == "new_message" and frame.origin is None else None
