"""A week of a village's sensors through the broker's core and the collector, in one process; prints the memory it took.

Run as a program: `python week_of_readings.py HOME`. The clock is driven by hand. Everything that remembers is real: the
hub with its sessions, the journal with its ingest on a store on disk, batching, rolling up and thinning out. Devices
reconnect, vanish and say odd things, as devices do. One line of JSON for each day: `{day, rss_bytes, readings}`.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from kit.broker.hub import Hub
from kit.broker.protocol.limits import Limits
from kit.broker.protocol.packets import Connect, Packet, Publish, Subscribe
from kit.clock import ManualClock
from kit.collect.aging import Aging
from kit.collect.batching import Batcher
from kit.collect.ingest import Ingest
from kit.model.local_days import LocalDays
from kit.settings import RetentionSettings
from kit.store.database import Database
from kit.store.mqtt import MqttJournal
from kit.store.records import set_origin
from kit.store.schema import MIGRATIONS

DEVICES = 50
EVERY_S = 1800
DAY_S = 86_400
NOON_S = 1_460_462_400


def rss_bytes() -> int:
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


class Village:
    """Fifty devices at one hub."""

    def __init__(self, store: Database, clock: ManualClock) -> None:
        self.clock = clock
        self.hub = Hub(Limits())
        self.journal = MqttJournal(store, ingest=Ingest(clock))
        self.hub.restore(self.journal.load())
        self._links = 0
        self._link_of: dict[int, int] = {}

    def commit(self) -> None:
        facts, self.hub.facts = self.hub.facts, []
        self.journal.commit([*self.hub.changes, *facts])
        self.hub.settle()

    def is_there(self, number: int) -> bool:
        return number in self._link_of

    def now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    def connect(self, number: int) -> None:
        if number in self._link_of:
            self.hub.lost(self._link_of[number], now_ms=self.now_ms())
        self._links += 1
        self._link_of[number] = self._links
        name = f"device-{number}"
        hello = Connect(client_id=name, clean_session=number % 2 == 0, username=name)
        self.hub.connected(self._links, hello, username=name, address="10.0.0.1", now_ms=self.now_ms())
        self._say(number, Subscribe(1, ((f"commands/{name}/#", 1),)))

    def speak(self, number: int, step: int) -> None:
        """Every device differently: dated, undated, with odd parts, below its topic."""
        records: list[dict[str, object]] = [
            {"n": "temperature", "u": "Cel", "v": round(10 + (step * 7 + number) % 200 / 10, 1)},
            {"n": "rh", "u": "%RH", "v": 50 + (step + number) % 40},
        ]
        if number % 3 == 0:
            records[0]["bt"] = int(self.clock.now())
        if number % 7 == 0:
            records.append({"n": "door", "vs": f"open {step}"})
        topic = f"sensors/device-{number}" + ("/probe" if number % 5 == 0 else "")
        payload = b"?" * (step % 50) if number == 11 else json.dumps(records).encode()
        self._say(number, Publish(topic, payload, 1, packet_id=step % 65_535 + 1, retain=number % 10 == 0))

    def _say(self, number: int, packet: Packet) -> None:
        self.hub.received(self._link_of[number], packet, now_ms=self.now_ms())


def live(home: Path, days: int) -> None:
    clock = ManualClock(at_s=NOON_S)
    zone = LocalDays(ZoneInfo("Africa/Nairobi"))
    with Database(home / "kit.db", migrations=MIGRATIONS) as store, Database(home / "kit.db") as second:
        with store.atomic() as connection:
            set_origin(connection, "k-1")
        village = Village(store, clock)
        batcher = Batcher(second, clock)
        aging = Aging(second, clock, days=zone, retention=RetentionSettings(raw_days=3))
        for day in range(1, days + 1):
            for step in range(DAY_S // EVERY_S):
                clock.advance(EVERY_S)
                for number in range(DEVICES):
                    if step % 48 == number % 48:
                        village.connect(number)
                village.commit()
                for number in range(DEVICES):
                    if village.is_there(number):
                        village.speak(number, step)
                village.commit()
                batcher.step()
                for _ in range(20):
                    if aging.step():
                        break
            count = store.connection.execute("SELECT count(*) FROM readings").fetchone()[0]
            print(json.dumps({"day": day, "rss_bytes": rss_bytes(), "readings": count}), flush=True)


if __name__ == "__main__":
    live(Path(sys.argv[1]), int(sys.argv[2]))
