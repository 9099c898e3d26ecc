"""What a 10,000-viewer room that gets messages costs everybody else.

Every 250 ms the big room gets a message, and 1 ms later and then every 25 ms a small room of the
same node gets one. Processes of their own (`bench.probes`) note when the small room's viewer has
each, and meanwhile ping another viewer and connect new ones. The same without messages to the big
room, with all its viewers connected, is the reference from the same run. The client reads the big
room at a lower priority, so that the probes feel the server and not the client.

The bar is for the longest of all; the p99 is beside it.
"""

import asyncio
import os
import threading
import time
from contextlib import AsyncExitStack

from bench.bridge import Bridge
from bench.child import Child
from bench.measured_pair import allow_open_files
from bench.partyline import Partyline
from bench.row import Row, quantile
from bench.viewer_group import Viewers

VIEWERS = 10_000
SPARE_FILES = 300
SMALL = "bench-small"
KINDS = ("message", "ping", "handshake")
BOUND_MS = 50.0
BIG_EVERY, SMALL_EVERY = 0.25, 0.025
SMALL_AFTER = 0.001


async def measure(quick: bool) -> list[Row]:
    """Longest and p99 of each probe, with and without messages to the big room."""
    count = min(1_000 if quick else VIEWERS, allow_open_files() - SPARE_FILES)
    seconds = 1.5 if quick else 8.0
    async with Partyline() as ours, AsyncExitStack() as stack:
        viewers = await asyncio.to_thread(ours.connect, count)
        stack.callback(viewers.close)
        bridge = ours.publisher()
        stack.callback(bridge.close)
        probes = {}
        for kind in KINDS:
            token = ours.pair.token(f"probe-{kind}")
            child = Child("bench.probes", kind, ours.pair.ws_port, SMALL, token)
            probes[kind] = await stack.enter_async_context(child)
        stopped = threading.Event()
        reading = asyncio.create_task(asyncio.to_thread(_read, viewers, stopped))
        try:
            await _probed(bridge, probes, 1.0, big=True)  # warms up
            quiet = await _probed(bridge, probes, seconds, big=False)
            loaded = await _probed(bridge, probes, seconds, big=True)
        finally:
            stopped.set()
            await reading
    rows = []
    for kind in KINDS:
        name = f"beside a {count:,}-viewer room: {kind}"
        longest = max(loaded[kind])
        rows += [
            Row(
                f"{name}, longest",
                longest,
                "ms",
                max(quiet[kind]),
                "room idle",
                f"≤ {BOUND_MS:.0f} ms",
                longest <= BOUND_MS,
            ),
            Row(
                f"{name}, p99",
                quantile(loaded[kind], 0.99),
                "ms",
                quantile(quiet[kind], 0.99),
                "room idle",
            ),
        ]
    return rows


def _read(viewers: Viewers, stopped: threading.Event) -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
    while not stopped.is_set():
        viewers.read(0.05)


async def _probed(
    bridge: Bridge, probes: dict[str, Child], seconds: float, *, big: bool
) -> dict[str, list[float]]:
    """Milliseconds that each kind of probe took meanwhile."""
    await _found(probes)  # what was before does not count
    sent = await asyncio.to_thread(_publish, bridge, seconds, big)
    await asyncio.sleep(0.5)
    found = await _found(probes)
    arrived = dict(found.pop("message"))
    took = {kind: [each / 1e6 for _, each in times] for kind, times in found.items()}
    missing = sent.keys() - arrived.keys()
    if missing:
        raise TimeoutError(f"{len(missing)} messages of the small room did not come")
    return took | {"message": [(arrived[id_] - at) / 1e6 for id_, at in sent.items()]}


async def _found(probes: dict[str, Child]) -> dict[str, list[tuple[int, int]]]:
    for probe in probes.values():
        probe.tell("report")
    return {kind: await probe.found() for kind, probe in probes.items()}


def _publish(bridge: Bridge, seconds: float, big: bool) -> dict[int, int]:
    """Publish for a while; when each message of the small room was sent."""
    begin = time.monotonic()
    each = round(BIG_EVERY / SMALL_EVERY)
    sent = {}
    for number in range(int(seconds / SMALL_EVERY)):
        _wait(begin + number * SMALL_EVERY)
        if big and number % each == 0:
            bridge.send()
            _wait(begin + number * SMALL_EVERY + SMALL_AFTER)
        at = bridge.send(session_id=SMALL)
        sent[bridge.sent] = at
    return sent


def _wait(until: float) -> None:
    time.sleep(max(0.0, until - time.monotonic()))
