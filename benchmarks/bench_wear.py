"""Bytes written to the card per reading, by how many readings share a commit, and by the settings that decide it.

    .venv/bin/python benchmarks/bench_wear.py [--messages 3000] [--folder DIR]

A village's sensors speak one at a time, so nearly every reading is a commit of its own. The real collector, journal and
ledger take messages of 50 devices, each with the power-cut ledger's flush; counted is `write_bytes` of /proc/self/io
(what this process made the kernel send to storage: pages, not calls) and, where the disk is visible, the sectors of
/sys/block (everybody's: an upper bound). FOLDER must be on a real disk: a memory file system writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kit.clock import ManualClock, SystemClock
from kit.collect.ingest import Ingest
from kit.model.messages import Published
from kit.store import schema
from kit.store.database import Database
from kit.store.ledger import Ledger
from kit.store.mqtt import MqttJournal

DEVICES = 50
START_S = 1_790_000_000.0


@dataclass(frozen=True)
class Way:
    """Settings to compare; None leaves the kit's own."""

    name: str
    page_bytes: int | None = None
    checkpoint_pages: int | None = None
    ledger: bool = True


WAYS = (
    Way("the kit's own settings"),
    Way("without the ledger", ledger=False),
    Way("checkpoint at 100 pages", checkpoint_pages=100),
    Way("checkpoint at 1000 pages (SQLite's default)", checkpoint_pages=1000),
    Way("checkpoint at 8000 pages", checkpoint_pages=8000),
    Way("pages of 512 bytes", page_bytes=512),
    Way("pages of 1024 bytes", page_bytes=1024),
    Way("pages of 2048 bytes", page_bytes=2048),
    Way("pages of 4096 bytes (SQLite's default)", page_bytes=4096),
)


def written() -> int:
    """Bytes that this process had sent to storage so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["write_bytes"])


def sectors(folder: Path) -> int | None:
    """Bytes that went to the whole disk that holds the folder; None where it cannot be seen."""
    device = folder.stat().st_dev
    stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    try:
        return int(stat.read_text().split()[6]) * 512
    except (OSError, IndexError, ValueError):
        return None


def message(number: int, at_s: float) -> Published:
    value = 18.0 + number % 97 / 10
    payload = json.dumps([{"n": "temperature", "u": "Cel", "v": value, "t": at_s}]).encode()
    device = f"field-{number % DEVICES}"
    return Published(
        username=device,
        client_id=device,
        topic=f"sensors/{device}",
        payload=payload,
        qos=1,
        retain=False,
        duplicate=False,
        packet_id=number % 60_000 + 1,
        received_ms=int(at_s * 1000),
    )


def measure(folder: Path, way: Way, *, messages: int, per_commit: int) -> tuple[float, float | None]:
    """Bytes per reading by this process, and by the whole disk."""
    file = folder / "kit.db"
    if way.page_bytes is not None:
        import sqlite3

        made = sqlite3.connect(file)
        made.execute(f"PRAGMA page_size={way.page_bytes}")
        made.execute("VACUUM")
        made.close()
    clock = ManualClock(at_s=START_S)
    real = SystemClock()
    ledger = Ledger(folder / "ledger", "broker", clock=clock, real_s=real.monotonic) if way.ledger else None
    with Database(file, migrations=schema.MIGRATIONS, ledger=ledger) as database:
        if way.checkpoint_pages is not None:
            database.connection.execute(f"PRAGMA wal_autocheckpoint={way.checkpoint_pages}")
        journal = MqttJournal(database, ingest=Ingest(clock=clock))
        journal.commit([message(number, START_S + number * 0.001) for number in range(DEVICES)])
        before, disk_before = written(), sectors(folder)
        for first in range(0, messages, per_commit):
            clock.advance(60.0 / DEVICES * per_commit)
            batch = [message(first + n, clock.now() + n * 0.001) for n in range(per_commit)]
            journal.commit(batch)
        database.connection.execute("PRAGMA wal_checkpoint(RESTART)")
        own = (written() - before) / messages
        disk = sectors(folder)
    return own, None if disk is None or disk_before is None else (disk - disk_before) / messages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    arguments = parser.parse_args()
    print(f"{'bytes written per reading':<46}{'1 a commit':>12}{'10':>9}{'100':>9}{'disk, 1':>10}")
    for way in WAYS:
        cells = []
        for per_commit in (1, 10, 100):
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                cells.append(measure(Path(folder), way, messages=arguments.messages, per_commit=per_commit))
        disk = "?" if cells[0][1] is None else f"{cells[0][1]:.0f}"
        print(f"{way.name:<46}{cells[0][0]:>12.0f}{cells[1][0]:>9.0f}{cells[2][0]:>9.0f}{disk:>10}", flush=True)


if __name__ == "__main__":
    main()
