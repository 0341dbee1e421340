"""What a transaction of ingest costs the processor and the log: the journal's commit, without network or broker.

    .venv/bin/python benchmarks/bench_ingest.py --only cpu

Real messages (`ingest_sides.payload`) go through `MqttJournal.commit` into a real store with its ledger, by 1, 20 and
200 to a transaction, of one device and of many. Shown are microseconds of processor time (user and system) of a
transaction and of each message, the medians of many; the SQL statements of a transaction; and the pages that it appends
to the log. From two sizes follow what a transaction costs by itself and what every message adds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ingest_sides import DEVICES, payload

from kit.clock import SystemClock
from kit.collect.ingest import Ingest
from kit.model.messages import Published
from kit.store import devices, schema
from kit.store.database import Database
from kit.store.ledger import Ledger
from kit.store.mqtt import MqttJournal

BATCHES = (1, 20, 200)
MESSAGES = 6_000
"""Of each measurement; at batches of one a tenth, for each of them waits for the disk."""


class Cost(NamedTuple):
    """Of one transaction, in the median: processor time, SQL statements, pages appended to the log."""

    us: float
    statements: int
    pages: float


def messages(speaking: int) -> Iterator[Published]:
    """Of `speaking` devices in turn, each with its own packet ids, dated by the kit when they come."""
    for number in count():
        name = f"device-{number % speaking}"
        at_ms = int(time.time() * 1000)
        packet_id = number // speaking % 60_000 + 1
        yield Published(name, name, f"sensors/{name}", payload(number // speaking), 1, False, False, packet_id, at_ms)  # noqa: FBT003 - as the broker makes them


def measure(folder: Path, *, batch: int, speaking: int) -> Cost:
    clock = SystemClock()
    ledger = Ledger(folder / "ledger", "broker", clock=clock, real_s=clock.monotonic)
    with Database(folder / "kit.db", migrations=schema.MIGRATIONS, ledger=ledger) as store:
        for number in range(speaking):
            devices.add_device(store.connection, f"device-{number}", now_ms=0)
        journal = MqttJournal(store, ingest=Ingest(clock))
        source = messages(speaking)

        def take(size: int) -> Sequence[Published]:
            return [next(source) for _ in range(size)]

        for _ in range(3):
            journal.commit(take(max(batch, speaking)))
        statements: list[str] = []
        store.connection.set_trace_callback(statements.append)
        journal.commit(take(batch))
        store.connection.set_trace_callback(None)
        took = []
        for _ in range((MESSAGES if batch > 1 else MESSAGES // 10) // batch):
            coming = take(batch)
            began = time.process_time()
            journal.commit(coming)
            took.append(time.process_time() - began)
        return Cost(statistics.median(took) * 1e6, len(statements), _pages(store, journal, take, batch))


def _pages(store: Database, journal: MqttJournal, take: Callable[[int], Sequence[Published]], batch: int) -> float:
    store.connection.execute("PRAGMA wal_autocheckpoint=0")
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    transactions = 20
    for _ in range(transactions):
        journal.commit(take(batch))
    (page_bytes,) = store.connection.execute("PRAGMA page_size").fetchone()
    log = store.file.with_name(store.file.name + "-wal")
    return log.stat().st_size / (int(page_bytes) + 24) / transactions


def measure_cpu() -> None:
    print(
        f"\n{'processor time of ingest':>27}{'a transaction':>16}{'a message':>12}{'statements':>12}{'log pages':>11}"
    )
    for speaking in (1, DEVICES):
        costs = {}
        for batch in BATCHES:
            with tempfile.TemporaryDirectory() as folder:
                cost = costs[batch] = measure(Path(folder), batch=batch, speaking=speaking)
            told = f"{speaking} devices, {batch} at once"
            print(
                f"{told:>27}{cost.us:13.0f} us{cost.us / batch:9.1f} us{cost.statements:12}{cost.pages:11.1f}",
                flush=True,
            )
        few, many = BATCHES[1:]
        each = (costs[many].us - costs[few].us) / (many - few)
        print(f"{'fixed, and for a message':>27}{costs[few].us - few * each:13.0f} us{each:9.1f} us", flush=True)
