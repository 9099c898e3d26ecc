"""What a viewer knows of one session: its transcript, and what may come next. Pure: no I/O."""

import time

import msgspec

from tests.chaos.agents import checksum
from tests.chaos.judge import Audience, Got


class Data(msgspec.Struct, gc=False):
    """The part of a message that is compared."""

    id: int = 0
    sender: str = ""
    sender_type: str = ""
    visibility: str = ""
    content: str = ""
    marker: int = 0


class Frame(msgspec.Struct, gc=False):
    """A frame, or the data of a server-sent event."""

    type: str = ""
    session_id: str = ""
    position: int | None = None
    epoch: str | None = None
    recovered: bool | None = None
    origin: str | None = None
    data: Data | None = None
    code: int | str | None = None


decode = msgspec.json.Decoder(Frame).decode


class ViewerLog:
    """One viewer's view of one session.

    Attributes:
        got: its transcript, with ``times`` of arrival.
        start: the position after which the transcript is complete; None while only ``moment``,
            the end of its handshake, is known.
        epoch: of the log, once known.
        live: whether it is subscribed, as far as it knows; ``asked`` while an answer is due.
        left: whether it has unsubscribed: nothing may come.
        replays: subscriptions answered with what was missed.
        resets: times it was told to reload, which must not happen.
        breaches: breaches of the protocol, in words.
    """

    def __init__(self, viewer: str, room: str, audience: Audience, begins: str) -> None:
        self.name = f"{viewer} in {room}"
        self.room = room
        self.audience = audience
        self.begins = begins
        self.got: list[Got] = []
        self.times: list[float] = []
        self.start: int | None = None
        self.moment = 0.0
        self.epoch: str | None = None
        self.live = self.asked = self.left = False
        self.replays = self.resets = 0
        self.breaches: list[str] = []
        self._awaiting: int | None = None

    @property
    def last(self) -> int | None:
        """How far it has read; None if it does not know."""
        return self.got[-1].id if self.got else self.start

    @property
    def since(self) -> int | None:
        """What it asks for when it comes (back); None for "from now"."""
        return 0 if self.last is None and self.begins == "all" else self.last

    def ask(self) -> int | None:
        """It subscribes now, with what this returns and its epoch."""
        self._awaiting = self.since
        self.asked = True
        self.left = False
        return self._awaiting

    def connected(self) -> None:
        """A new connection, which is not subscribed to anything yet."""
        self.live = self.asked = self.left = False

    def joined(self) -> None:
        """It is live without having asked."""
        self.live = True
        self.moment = time.monotonic()

    def receive(self, frame: Frame) -> None:
        """A frame of this session arrives."""
        if frame.origin == "external":
            return
        if frame.type == "new_message" and frame.data is not None:
            self._note(frame, frame.data)
        elif frame.type == "subscribed" and frame.position is not None:
            self._begin(frame, frame.position)
        elif frame.type == "unsubscribed":
            self.live = self.asked = False
            self.left = True
        else:
            self._report(f"was sent {frame}")

    def log_replaced(self) -> None:
        """Told that the log is another one: everything starts over."""
        self.resets += 1
        self.epoch = None
        self._reload(0)

    def has_read(self, position: int) -> bool:
        """Whether it has read so far."""
        return (self.last or 0) >= position

    def _note(self, frame: Frame, data: Data) -> None:
        if not self.live:
            if self.left or self._awaiting is not None:
                self._report(f"was sent {data.id} while not subscribed")
                self._record(data)
            return
        if frame.position != data.id or frame.session_id != self.room:
            self._report(f"was sent {frame.position} {frame.session_id} {data.id}")
        self._record(data)

    def _record(self, data: Data) -> None:
        self.got.append(
            Got(data.id, checksum(data.sender, data.sender_type, data.visibility, data.content))
        )
        self.times.append(time.monotonic())

    def _begin(self, frame: Frame, position: int) -> None:
        """A subscription is answered: the transcript goes on from there."""
        if not self.asked:
            self._report("was subscribed without asking")
        known, self.epoch = self.epoch, frame.epoch
        self.live, self.asked = True, False
        if self._awaiting is None:
            self.start = position
            return
        if not frame.recovered:
            self.resets += 1
            self._reload(position)
            return
        if known not in (None, frame.epoch):
            self._report(f"went on from the log {known} in {frame.epoch}")
        self.replays += 1
        if position != self._awaiting:
            self._report(f"asked for {self._awaiting} and was answered with {position}")
        if self.start is None and not self.got:
            self.start = position
        while self.got and self.got[-1].id > position:
            self.got.pop()  # came after a later position was asked for on a live socket
            self.times.pop()

    def _reload(self, position: int) -> None:
        self.got.clear()
        self.times.clear()
        self.start = position

    def _report(self, text: str) -> None:
        self.breaches.append(f"{self.name} {text}")
