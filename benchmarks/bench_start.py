"""From an unclean stop to accepting readings, and over a damaged store, with a store of a gigabyte.

    .venv/bin/python benchmarks/bench_start.py [--megabytes 1000] [--damage middle|list|small] [--backup]

Fills a store with as many readings as it takes (by SQL, in the order of its keys: some 20 s), starts the unit,
publishes, kills everything with -9 and starts it again: seconds until a device's QoS 1 publish is acknowledged.
`--damage` then spoils a page in the middle (or the first one, with the list of tables; or, besides the one in the
middle, the table of series, without which no reading has a name), asks for the first page and
publishes a reading again and again, and tells when each was first answered, the longest time that neither was, and when
everything that could be was back; `--backup` makes a backup before.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
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


def spoil(home: Home, where: str) -> None:
    connection = sqlite3.connect(home.database)
    pages = int(connection.execute("PRAGMA page_count").fetchone()[0])
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    (series,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'series'").fetchone()
    spoiled = {"middle": [pages // 2], "list": [0], "small": [pages // 2, series - 1]}[where]
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with home.database.open("r+b") as stream:
        for page in spoiled:
            stream.seek(page * size)
            stream.write(os.urandom(size))


class Asking(threading.Thread):
    """Asks for the same thing again and again, and notes when it was answered."""

    def __init__(self, ask: Callable[[], bool], since: float) -> None:
        super().__init__(daemon=True)
        self._ask, self._since, self.answers, self.over = ask, since, [0.0], threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            with contextlib.suppress(OSError):
                if self._ask():
                    self.answers.append(time.perf_counter() - self._since)

    @property
    def longest(self) -> float:
        """Seconds without an answer after the first one."""
        return max((later - earlier for earlier, later in itertools.pairwise(self.answers[1:])), default=0.0)


def page_answers(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        return bool(answer.status == 200)


class Device:
    """Publishes one reading after the other, each until it is acknowledged."""

    def __init__(self, port: int, device: Credentials) -> None:
        self._port, self._device, self._number = port, device, 100

    def publishes(self) -> bool:
        payload = b'[{"n":"temperature","u":"Cel","v":%d}]' % self._number
        connect = encode(Connect(client_id="roof", username="roof", password=self._device.password.encode()))
        with socket.create_connection(("127.0.0.1", self._port), timeout=5) as client:
            client.sendall(connect)
            client.recv(4)
            client.sendall(encode(Publish("sensors/roof", payload, 1, packet_id=self._number)))
            if not client.recv(4):
                return False
        self._number += 1
        return True


def damage(home: Home, where: str, ports: tuple[int, int], device: Credentials) -> subprocess.Popen[bytes]:
    broker, web = ports
    spoil(home, where)
    began = time.perf_counter()
    unit = start(home)
    page = Asking(lambda: page_answers(web), began)
    reading = Asking(Device(broker, device).publishes, began)
    page.start()
    reading.start()
    for what, pattern in (("found", "*"), ("mended enough to serve", "*/report.json")):
        while not list(home.set_aside.glob(pattern)):
            time.sleep(0.05)
        print(f"damage {what} after {time.perf_counter() - began:.1f} s", flush=True)
    while (
        not (reports := list(home.set_aside.glob("*/report.json"))) or json.loads(reports[0].read_text())["unfinished"]
    ):
        time.sleep(0.2)
    whole = time.perf_counter() - began
    for asking in (page, reading):
        asking.over.set()
        asking.join()
    print(f"first page after {page.answers[1]:.1f} s, longest time without {page.longest:.1f} s")
    print(f"first reading after {reading.answers[1]:.1f} s, longest time without {reading.longest:.1f} s")
    print(f"everything back after {whole:.0f} s, {len(reading.answers) - 1} readings meanwhile")
    print(json.loads(reports[0].read_text())["sentence"], flush=True)
    return unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument(
        "--damage", choices=("middle", "list", "small"), help="then spoil a page, and time the recovery"
    )
    parser.add_argument("--backup", action="store_true", help="make a backup before that")
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
            if arguments.backup:
                unit = start(home)
                acknowledged_after(broker, device, time.perf_counter(), 20)
                subprocess.run([*KIT, "backup", "--home", str(home.path)], check=True, stdout=subprocess.DEVNULL)
                kill_all(home, unit)
            unit = damage(home, arguments.damage, (broker, web), device)
        kill_all(home, unit)


if __name__ == "__main__":
    main()
