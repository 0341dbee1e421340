"""A gateway comes back after a week: 50,000 queued uplinks of 50 nodes at once, and villagers go on reading the page.

    .venv/bin/python benchmarks/bench_burst.py [--uplinks 50000] [--window 100]

A whole unit (`kit run`: broker, collect, web, sync, care) on real sockets. The gateway speaks ChirpStack v4's JSON at
QoS 1 with a window of unacknowledged messages, as fast as it is acknowledged; a reader asks for the first page ten
times a second all the while, and for what is measured now. Floors: every uplink is stored once; p99 of the pages
below 300 ms; the broker (with the ingest in it) and the service `collect` together never above 80 MB, counted as the
sum of what is resident of each (pages they share count twice).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from bench_ingest import PUBACK_BYTES
from ingest_sides import free_port, wait_for_port
from process_memory import Watch, unit_processes

from kit.broker.protocol.packets import Connack, Connect, Publish
from kit.broker.protocol.writer import encode
from kit.store.database import Database

KIT = [sys.executable, "-m", "kit.cli"]
NODES = 50
ASK_EVERY_S = 0.05
FLOOR_MS = 300
FLOOR_BYTES = 80_000_000
AFTER_S = 15
"""For so long the memory is watched when the burst is over, while it is batched and summed up."""


def uplink(node: int, number: int, began_s: float) -> tuple[str, bytes]:
    """Topic below the gateway's own, and what ChirpStack says of one uplink."""
    eui = f"a840419edb62{node:04x}"
    at = datetime.fromtimestamp(began_s + number * 600, UTC).isoformat()
    told = {
        "deduplicationId": f"80166477-2482-43ab-a64e-{node:04x}{number:08x}",
        "time": at,
        "deviceInfo": {"applicationName": "fields", "deviceName": f"node{node}", "devEui": eui, "tags": {}},
        "devAddr": "01087309",
        "fCnt": number,
        "fPort": 2,
        "object": {"BatV": 3.297, "TempC_SHT": round(10 + number % 150 / 10, 2), "Hum_SHT": 40 + number % 50},
        "rxInfo": [{"gatewayId": "2cf7f11081400088", "rssi": -102, "snr": -12, "crcStatus": "CRC_OK"}],
    }
    return f"application/fields/device/{eui}/event/up", json.dumps(told).encode()


def send(port: int, account: dict[str, str], count: int, window: int) -> None:
    """Be the gateway."""
    import socket

    began_s = time.time() - 8 * 86_400
    base = account["topic"]
    packets = []
    for number in range(count):
        topic, payload = uplink(number % NODES, number // NODES, began_s)
        packets.append(encode(Publish(f"{base}/{topic}", payload, 1, packet_id=number % 60_000 + 1)))
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        hello = Connect(client_id="gateway", username=account["username"], password=account["password"].encode())
        connection.sendall(encode(hello))
        assert connection.recv(4) == encode(Connack(session_present=False, code=0))
        sent = acknowledged = rest = 0
        while acknowledged < count:
            room = min(window - (sent - acknowledged), count - sent)
            if room > 0:
                connection.sendall(b"".join(packets[sent : sent + room]))
                sent += room
            data = connection.recv(65536)
            assert data, "the broker closed the connection"
            complete, rest = divmod(rest + len(data), PUBACK_BYTES)
            acknowledged += complete


def ask(port: int, path: str) -> float:
    """Seconds that a page takes, connection included."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, (path, answer.status)
    connection.close()
    return time.perf_counter() - began


def read_pages(port: int, watch: Watch, *, while_runs: int) -> list[float]:
    """The pages, until that child process has ended; the memory is looked at beside."""
    took: list[float] = []
    while True:
        watch.look()
        took += [ask(port, "/"), ask(port, "/now/")]
        ended, status = os.waitpid(while_runs, os.WNOHANG)
        if ended:
            assert status == 0, "the gateway failed"
            return took
        time.sleep(ASK_EVERY_S)


class Unit(NamedTuple):
    """A real one that serves, and a gateway's account on it."""

    web: int
    broker: int
    account: dict[str, str]

    def start_gateway(self, count: int, window: int) -> int:
        """A child process that delivers so many uplinks; its pid."""
        gateway = os.fork()
        if not gateway:
            send(self.broker, self.account, count, window)
            os._exit(0)
        return gateway


@contextmanager
def unit_in(home: Path) -> Iterator[Unit]:
    """`kit run`, until it is left."""
    web, broker = free_port(), free_port()
    (home / "kit.toml").write_text(f'[web]\nlisten = "127.0.0.1:{web}"\n[broker]\nlisten = "127.0.0.1:{broker}"\n')
    command = [*KIT, "device", "add", "gateway", "--kind", "chirpstack", "--home", str(home), "--json"]
    account = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    unit = subprocess.Popen([*KIT, "run", "--home", str(home)], stdout=subprocess.DEVNULL)
    try:
        wait_for_port(web)
        wait_for_port(broker)
        yield Unit(web, broker, account)
    finally:
        unit.send_signal(signal.SIGTERM)
        unit.wait(30)


def measure(home: Path, count: int, window: int) -> bool:
    with unit_in(home) as unit:
        web = unit.web
        quiet = sorted(ask(web, "/") for _ in range(50))
        processes = unit_processes(home)
        watch = Watch({name: processes[name] for name in ("broker", "collect")})
        began = time.perf_counter()
        took = sorted(read_pages(web, watch, while_runs=unit.start_gateway(count, window)))
        lasted_s = time.perf_counter() - began
        for _ in range(AFTER_S * 4):
            watch.look()
            time.sleep(0.25)
        with Database(home / "kit.db", read_only=True) as database:
            stored = database.connection.execute(
                "SELECT count(*) FROM readings r JOIN series s ON s.id = r.series WHERE s.quantity = 'temperature'"
            ).fetchone()[0]
    p50, p99 = (took[int(len(took) * part)] * 1000 for part in (0.5, 0.99))
    print(f"{count} uplinks acknowledged in {lasted_s:.1f} s ({count / lasted_s:.0f}/s), {stored} stored")
    print(f"pages: {len(took)} asked for, p50 {p50:.0f} ms, p99 {p99:.0f} ms (floor {FLOOR_MS}); ", end="")
    print(f"p50 {quiet[len(quiet) // 2] * 1000:.0f} ms when nothing comes in")
    print(f"memory at its peak: broker and collect {watch.peak} (floor {FLOOR_BYTES / 1e6:.0f} MB RSS); ", end="")
    print("; ".join(f"{name} {memory}" for name, memory in watch.at_peak.items()))
    return stored == count and p99 < FLOOR_MS and watch.peak.rss < FLOOR_BYTES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uplinks", type=int, default=50_000)
    parser.add_argument("--window", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "kit"
        home.mkdir()
        return 0 if measure(home, arguments.uplinks, arguments.window) else 1


if __name__ == "__main__":
    sys.exit(main())
