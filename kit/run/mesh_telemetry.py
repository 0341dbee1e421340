"""What other nodes of the mesh measure, from the radio into the store: as readings of `mesh/<node>`.

The packets come on the radio library's thread, which must not wait for a disk; a thread of their own writes them, with
the same ingest as the broker's, in one transaction for whatever has come in. A radio packet is acknowledged to nobody,
so what is in the queue when this process is killed is lost, as it would be to a gust of noise.
"""

from __future__ import annotations

import json
import logging
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kit.clock import Clock
from kit.collect.dialects.meshtastic import node_name
from kit.collect.ingest import Ingest
from kit.collect.speakers import MESH_TOPIC, MESH_USER
from kit.errors import KitError
from kit.model.messages import Published
from kit.store.database import Database

log = logging.getLogger(__name__)

WAITING_AT_MOST = 256
LOOK_EVERY_S = 0.25
"""Real seconds after which a thread that has nothing to do looks whether it is to end."""

RETRY_S = 1.0


class MeshTelemetry:
    """Takes telemetry in. `heard` may be called on any thread; everything else is its own thread's.

    Args:
        database: the kit's store, used by nobody else.
        clock: dates what comes without a time.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._ingest = Ingest(clock)
        self._heard: queue.Queue[Published] = queue.Queue(WAITING_AT_MOST)
        self.lost = 0
        """Packets for which there was no room, since the start."""

    def heard(self, node: int, payload: bytes) -> None:
        """A telemetry packet of a node; never blocks."""
        from sync.links.meshtastic_telemetry import read_telemetry

        told = read_telemetry(payload)
        if told is None:
            return
        # the very message that a node with MQTT would send, so that there is one way to read both
        message = {"type": "telemetry", "from": node, "timestamp": told.time_s, "payload": told.metrics}
        published = Published(
            username=MESH_USER,
            client_id=MESH_USER,
            topic=f"{MESH_TOPIC}/2/json/radio/!{node_name(node)}",
            payload=json.dumps(message).encode(),
            qos=0,
            retain=False,
            duplicate=False,
            packet_id=None,
            received_ms=int(self._clock.now() * 1000),
        )
        try:
            self._heard.put_nowait(published)
        except queue.Full:
            self.lost += 1

    @contextmanager
    def working(self) -> Iterator[None]:
        """Write what is heard while the block runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,), name="mesh-telemetry", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _run(self, stop: threading.Event) -> None:
        batch: list[Published] = []
        while not stop.is_set():
            batch += self._next()
            if not batch:
                continue
            try:
                with self._database.atomic() as connection:
                    self._ingest(connection, batch)
            except (sqlite3.Error, OSError, KitError) as error:
                log.warning("what the mesh measured cannot be written now: %s", error)
                del batch[WAITING_AT_MOST:]
                stop.wait(RETRY_S)
            else:
                batch = []

    def _next(self) -> list[Published]:
        found: list[Published] = []
        try:
            found.append(self._heard.get(timeout=LOOK_EVERY_S))
            while True:
                found.append(self._heard.get_nowait())
        except queue.Empty:
            return found
