"""The floor: for each message one ``send`` of the framed bytes on as many non-blocking sockets.

No event loop, no protocol, no handshake: what is left is the system call, made from Python.
"""

import selectors
import socket
import sys

import zmq

from bench.child import READY, report
from bench.peers.pull import PullPeer
from bench.viewer_group import Viewers
from ws_node.rooms.framing import text_frame


class RawSend(PullPeer):
    """The peer."""

    name = "raw send()"
    module = "bench.peers.raw_send"

    def connect(self, count: int) -> Viewers:
        opened = []
        for _ in range(count):
            viewer = socket.create_connection(("127.0.0.1", self.port), 10)
            if viewer.recv(1) != b"!":
                raise ConnectionError("a viewer was refused")
            opened.append(viewer)
        return Viewers(opened)


def main(port: int, endpoint: str) -> None:
    """Take viewers and messages, for ever."""
    viewers: list[socket.socket] = []
    with (
        socket.create_server(("127.0.0.1", port), backlog=1_024) as listener,
        zmq.Context() as context,
        context.socket(zmq.PULL) as pull,
        selectors.DefaultSelector() as selector,
    ):
        pull.bind(endpoint)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(pull.fileno(), selectors.EVENT_READ)
        report(READY)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    viewer, _ = listener.accept()
                    viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    viewer.setblocking(False)
                    viewers.append(viewer)
                    viewer.send(b"!")
            while int(pull.get(zmq.EVENTS)) & zmq.POLLIN:
                frame = text_frame(pull.recv_multipart()[2])
                for viewer in viewers:
                    viewer.send(frame)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
