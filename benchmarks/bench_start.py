"""From an unclean stop to accepting readings, and over a damaged store, with a store of a gigabyte.

    .venv/bin/python benchmarks/bench_start.py [--megabytes 1000] [--damage]

Fills a store with as many readings as it takes (by SQL, in the order of its keys: some 20 s), starts the unit,
publishes, kills everything with -9 and starts it again: seconds until a device's QoS 1 publish is acknowledged.
`--damage` then spoils a page in the middle, and takes the time until the unit's first page is served again, with the
store looked over, set aside, salvaged and swapped.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from kit.broker.protocol.packets import Connect, Publish
from kit.broker.protocol.writer import encode
from kit.home import Home
from kit.identity import load_or_create_identity
from kit.run.schema import open_unit_store
from kit.store.devices import Credentials, add_device
from kit.store.records import set_origin

KIT = [sys.executable, "-m", "kit.cli"]
SERIES = 50
BYTES_PER_ROW = 22
STEP_MS = 60_000


def fill(home: Home, megabytes: int) -> Credentials:
    """A store of about that size; returns a device that may publish."""
    home.prepare()
    with open_unit_store(home) as store:
        with store.atomic() as connection:
            set_origin(connection, load_or_create_identity(home).unit)
            device = add_device(connection, "roof", now_ms=0)
            connection.executemany(
                "INSERT INTO series (id, device, quantity, unit) VALUES (?, ?, 'temperature', 'Cel')",
                [(n, f"field-{n}") for n in range(1, SERIES + 1)],
            )
        connection = store.connection
        connection.execute("PRAGMA synchronous=OFF")
        rows = megabytes * 1_000_000 // BYTES_PER_ROW // SERIES
        for series in range(1, SERIES + 1):
            connection.execute(
                "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                "INSERT INTO readings SELECT ?, 1700000000000 + i * ?, i % 400, 1 FROM n",
                (rows, series, STEP_MS),
            )
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.sync()
    return device


def acknowledged_after(port: int, device: Credentials, since: float, packet_id: int) -> float:
    """Seconds from `since` until a publish is acknowledged."""
    payload = b'[{"n":"temperature","u":"Cel","v":%d}]' % packet_id
    connect = encode(Connect(client_id="roof", username="roof", password=device.password.encode()))
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(connect)
                client.recv(4)
                client.sendall(encode(Publish("sensors/roof", payload, 1, packet_id=packet_id)))
                if client.recv(4):
                    return time.perf_counter() - since
        except OSError:
            pass
        time.sleep(0.01)


def page_after(port: int, since: float) -> float:
    """Seconds from `since` until the first page is served."""
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                if answer.status == 200:
                    return time.perf_counter() - since
        except OSError:
            time.sleep(0.05)


def kill_all(home: Home, supervisor: subprocess.Popen[bytes]) -> None:
    services = json.loads(home.services_file.read_text())["services"]
    supervisor.send_signal(signal.SIGKILL)
    for service in services:
        if service["pid"]:
            os.kill(service["pid"], signal.SIGKILL)
    supervisor.wait()
    time.sleep(0.2)


def start(home: Home) -> subprocess.Popen[bytes]:
    with (home.path / "out.txt").open("ab") as out:
        return subprocess.Popen([*KIT, "run", "--home", str(home.path)], stdout=out, stderr=out)


def spoil(home: Home) -> None:
    connection = sqlite3.connect(home.database)
    pages = int(connection.execute("PRAGMA page_count").fetchone()[0])
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with home.database.open("r+b") as stream:
        stream.seek(pages // 2 * size)
        stream.write(os.urandom(size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--damage", action="store_true", help="then spoil a page, and time the recovery")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "kit")
        began = time.perf_counter()
        device = fill(home, arguments.megabytes)
        size = home.database.stat().st_size / 1e6
        print(f"store of {size:.0f} MB made in {time.perf_counter() - began:.0f} s", flush=True)
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
            broker, web = one.getsockname()[1], two.getsockname()[1]
        home.settings_file.write_text(
            f'[broker]\nlisten = "127.0.0.1:{broker}"\n[web]\nlisten = "127.0.0.1:{web}"\n[backup]\nkeep = 0\n'
        )
        unit = start(home)
        acknowledged_after(broker, device, time.perf_counter(), 1)
        page_after(web, time.perf_counter())
        for number in range(3):
            kill_all(home, unit)
            began = time.perf_counter()
            unit = start(home)
            seconds = acknowledged_after(broker, device, began, 10 + number)
            page = page_after(web, began)
            print(f"after kill -9: a reading acknowledged after {seconds:.2f} s, a page after {page:.2f} s", flush=True)
        if arguments.damage:
            time.sleep(10)  # the check after the unclean stop
            kill_all(home, unit)
            spoil(home)
            began = time.perf_counter()
            unit = start(home)
            while not home.set_aside.exists():
                time.sleep(0.05)
            found = time.perf_counter() - began
            while not list(home.set_aside.glob("*/report.json")):
                time.sleep(0.05)
            mended = time.perf_counter() - began
            page = page_after(web, began)
            report = json.loads(next(home.set_aside.glob("*/report.json")).read_text())
            print(f"damage found after {found:.1f} s, mended after {mended:.1f} s, a page after {page:.1f} s")
            print(report["sentence"])
        kill_all(home, unit)


if __name__ == "__main__":
    main()
