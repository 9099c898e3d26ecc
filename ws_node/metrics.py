"""What ws_node tells about itself at /metrics: name, help and value of each figure."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from serving.http.operators import Figure
from serving.quota import Quota
from ws_node.endpoints.websocket import Sockets
from ws_node.intake.broadcast import Broadcast
from ws_node.intake.collector import Collector
from ws_node.log.client import History
from ws_node.log.sync import LogSync
from ws_node.presence.presence import Presence
from ws_node.rooms.dispatcher import Dispatcher
from ws_node.rooms.event_queue import EventQueue
from ws_node.rooms.hub import Behind, Hub
from ws_node.workers.siblings import Siblings


@dataclass(frozen=True)
class Measured:
    """The parts that have figures."""

    hub: Hub
    dispatcher: Dispatcher
    queue: EventQueue
    history: History
    following: LogSync
    collector: Collector
    presence: Presence
    siblings: Siblings
    places: Quota
    sockets: Sockets
    broadcast: Broadcast


def figures(of: Measured) -> Iterator[Figure]:
    """The figures of one worker."""
    hub, collector = of.hub, of.collector
    yield "viewers", "Open connections of viewers.", of.places.total
    full = of.places.refused + of.sockets.refusals.refused
    yield "viewers_refused_total", "Connections refused because of limits.", full
    yield "rooms", "Sessions somebody watches.", len(hub.rooms)
    yield "deliveries_total", "Frames written to viewers by the fan-out.", hub.fan_out.delivered
    yield "slow_viewers_total", "Viewers closed as too slow.", hub.fan_out.slow
    yield "presence_frames_total", "Frames that told who is there.", of.presence.sent
    yield (
        "presence_skipped_total",
        "Presence frames slow viewers missed.",
        of.presence.skipped,
    )
    yield "queue_items", "Items waiting in the queue.", len(of.queue)
    yield "collected_total", "Bridge messages taken.", collector.received
    overflowed = collector.overflowed + of.siblings.overflowed
    yield "overflowed_total", "Bridge messages that did not fit.", overflowed
    malformed = sum(collector.malformed.values()) + of.siblings.malformed
    yield "malformed_total", "Bridge messages that were not ours.", malformed
    yield (
        "bridge_refused_total",
        "Peers and messages a tcp bridge let not in.",
        collector.refused,
    )
    yield "sibling_dropped_total", "Events a sibling did not take.", of.siblings.dropped
    yield "broadcasts_total", "Events taken at /broadcast.", of.broadcast.taken
    refused = sum(of.broadcast.refused.values())
    yield "broadcasts_refused_total", "Events refused at /broadcast.", refused
    following = of.following
    yield "log_reachable", "1 while mcp_node answers.", bool(following.reachable)
    lasted = time.time() - following.reachable_since
    yield "log_reachable_seconds", "How long mcp_node has answered, or not.", lasted
    yield "workers_away", "Siblings this worker has not heard of.", of.siblings.away()
    behind = hub.behind() or Behind(0, 0, time.time())
    yield "rooms_behind", "Rooms waiting for what they missed.", behind.rooms
    yield "ids_behind", "The most ids a room is behind.", behind.ids
    yield "behind_seconds", "How long a room has been behind.", time.time() - behind.since
    counts = hub.counts
    yield "duplicates_total", "Messages that came twice, dropped.", counts.duplicates
    yield "not_held_total", "Messages that did not fit what is held.", counts.forgotten
    yield "unexplained_total", "Held messages that the log does not have.", counts.unexplained
    yield "ephemeral_total", "Events without a position that came by.", of.dispatcher.ephemeral
    yield "repairs_total", "Gaps read from history.", following.repairs
    yield "history_requests_total", "Questions to mcp_node.", of.history.requests
    yield (
        "fan_out_latency_seconds",
        "Publishing to fan-out, newest message.",
        hub.fan_out.latency,
    )
