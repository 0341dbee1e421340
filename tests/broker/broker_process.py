"""A real broker as a process of its own, to be killed: `broker_process.py DATABASE`; prints its port."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from kit.broker.server import Broker
from kit.clock import SystemClock
from kit.model.messages import Published
from kit.store.database import Database
from kit.store.device_users import DeviceUsers
from kit.store.mqtt import MqttJournal


def ingest(connection: sqlite3.Connection, publishes: Sequence[Published]) -> None:
    rows = [(p.username, p.topic, p.payload, p.qos, p.duplicate) for p in publishes]
    connection.executemany("INSERT INTO seen (username, topic, payload, qos, duplicate) VALUES (?, ?, ?, ?, ?)", rows)


async def main(file: Path) -> None:
    with Database(file, hurried=True) as store, Database(file) as devices:
        users = DeviceUsers(devices, services={"kit-test": "service password"})
        journal = MqttJournal(store, ingest=ingest)
        broker = Broker(host="127.0.0.1", port=0, users=users, journal=journal, clock=SystemClock())
        await broker.serve(asyncio.Event(), ready=lambda address: print(address[1], flush=True))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
