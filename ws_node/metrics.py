"""The metrics of ws_node: name, help and value of each."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from serving.bus.bus import Bus
from serving.http.operators import Figure
from serving.quota import Quota
from ws_node.endpoints.websocket import Sockets
from ws_node.intake.broadcast import Broadcast
from ws_node.intake.interface import Intake
from ws_node.log.client import History
from ws_node.log.sync import LogSync
from ws_node.presence.presence import Presence
from ws_node.rooms.dispatcher import Dispatcher
from ws_node.rooms.event_queue import EventQueue
from ws_node.rooms.hub import Behind, Hub
from ws_node.workers.other_nodes import OtherNodes
from ws_node.workers.siblings import Siblings


@dataclass(frozen=True)
class Measured:
    """The parts that have metrics."""

    hub: Hub
    dispatcher: Dispatcher
    queue: EventQueue
    history: History
    following: LogSync
    collector: Intake
    bus: Bus | None
    others: OtherNodes | None
    presence: Presence
    siblings: Siblings
    places: Quota
    sockets: Sockets
    broadcast: Broadcast


def figures(of: Measured) -> Iterator[Figure]:
    """The metrics of one worker."""
    hub, collector = of.hub, of.collector
    yield "viewers", "Open connections of viewers.", of.places.total
    full = of.places.refused + of.sockets.refusals.refused
    yield "viewers_refused_total", "Viewers refused because of limits.", full
    yield "rooms", "Sessions that have viewers, or had some lately.", len(hub.rooms)
    yield "deliveries_total", "Frames written to viewers by the fan-out.", hub.fan_out.delivered
    yield "slow_viewers_total", "Viewers disconnected as too slow.", hub.fan_out.slow
    yield "presence_frames_total", "Presence frames written.", of.presence.sent
    yield (
        "presence_skipped_total",
        "Presence frames not written to slow viewers.",
        of.presence.skipped,
    )
    yield "queue_items", "Items waiting in the queue.", len(of.queue)
    yield "collected_total", "Bridge messages received.", collector.received
    overflowed = collector.overflowed + of.siblings.overflowed
    yield "overflowed_total", "Bridge messages dropped because the queue was full.", overflowed
    malformed = sum(collector.malformed.values()) + of.siblings.malformed
    if of.others is not None:
        malformed += of.others.malformed
    yield "malformed_total", "Bridge messages dropped as malformed.", malformed
    yield (
        "bridge_refused_total",
        "Peers and messages that a tcp bridge refused; what nats-server refused.",
        collector.refused,
    )
    if of.bus is not None:
        yield "bus_connected", "1 while nats-server is connected.", of.bus.connected
        yield "bus_dropped_total", "External events and counts not sent.", of.bus.dropped
    yield "sibling_dropped_total", "Events that another worker did not accept.", of.siblings.dropped
    yield "broadcasts_total", "Events accepted at /broadcast.", of.broadcast.accepted
    refused = sum(of.broadcast.refused.values())
    yield "broadcasts_refused_total", "Events refused at /broadcast.", refused
    following = of.following
    yield "log_reachable", "1 while mcp_node answers.", bool(following.reachable)
    lasted = time.time() - following.reachable_since
    yield "log_reachable_seconds", "How long mcp_node has answered, or not.", lasted
    yield "workers_away", "Other workers that sent nothing lately.", of.siblings.away()
    behind = hub.behind() or Behind(0, 0, time.time())
    yield "rooms_behind", "Rooms that wait for messages they missed.", behind.rooms
    yield "ids_behind", "Most ids that a room is behind.", behind.ids
    yield "behind_seconds", "Longest time that a room has been behind.", time.time() - behind.since
    counts = hub.counts
    yield "duplicates_total", "Messages dropped as duplicates.", counts.duplicates
    yield "not_held_total", "Messages beyond what a room may hold.", counts.forgotten
    yield (
        "unexplained_total",
        "Messages that the log does not have.",
        counts.unexplained,
    )
    yield (
        "ephemeral_total",
        "Events without a position, delivered to rooms.",
        of.dispatcher.ephemeral,
    )
    yield "repairs_total", "Requests for messages that a room missed.", following.repairs
    yield "history_requests_total", "Requests to mcp_node.", of.history.requests
    yield (
        "fan_out_latency_seconds",
        "From publishing to fan-out, of the newest message.",
        hub.fan_out.latency,
    )
