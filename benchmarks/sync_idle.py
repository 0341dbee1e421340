"""What it costs over cellular to ask whether anything has changed, as it is on the wire: ZeroMQ and CURVE included."""

from __future__ import annotations

import select
import socket
import threading
import time
from pathlib import Path

import zmq
from sync_scale import a_core, connected, fill, unit_store, waits

from kit.clock import AcceleratedClock
from sync.engine import SyncEngine

SPEED = 60.0
"""The kit asks after five minutes of silence: five seconds here, so that none of ZeroMQ's own pings falls between."""

ASKS_AFTER_S = 300.0


class CountingRelay:
    """Passes TCP connections on to one address, and counts their bytes (those of TCP and IP come on top)."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._there = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.bytes = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """No more connections."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            with here, socket.create_connection(self._there) as there:
                self._pass_on(here, there)

    def _pass_on(self, here: socket.socket, there: socket.socket) -> None:
        while True:
            for ready in select.select([here, there], [], [])[0]:
                data = ready.recv(65_536)
                if not data:
                    return
                (there if ready is here else here).sendall(data)
                self.bytes += len(data)


def asking_over_cellular(home: Path) -> int:
    """Bytes both ways of one question and its answer, of a kit that has sent 300 records."""
    database = unit_store(home / "kit")
    fill(database, 300)
    core_keys = zmq.curve_keypair()
    with a_core(home / "core", core_keys) as address:
        relay = CountingRelay(address)
        clock = AcceleratedClock(time.time(), time.monotonic(), SPEED)
        engine, link = connected(database, relay.address, core_keys[0], clock)
        while waits(database):
            engine.step(0.005)
        _let_pass(engine, 1.0)  # what is said of the last records
        before = relay.bytes
        _let_pass(engine, 1.3 * ASKS_AFTER_S / SPEED)
        asked = relay.bytes - before
        link.close()
        relay.close()
    database.close()
    return asked


def _let_pass(engine: SyncEngine, real_s: float) -> None:
    until_s = time.monotonic() + real_s
    while time.monotonic() < until_s:
        engine.step(0.01)
