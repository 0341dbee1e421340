"""The unit's real broker and ingest as a process, to be killed: `replay_broker.py HOME`; prints its port."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from kit.broker.server import Broker
from kit.clock import SystemClock
from kit.collect.ingest import Ingest
from kit.home import Home
from kit.identity import load_or_create_service_passwords
from kit.settings import listen_address, load_settings
from kit.store.database import Database
from kit.store.device_users import DeviceUsers
from kit.store.mqtt import MqttJournal


async def main(home: Home) -> None:
    host, port = listen_address(load_settings(home.settings_file).broker.listen, key="listen")
    with Database(home.database) as store, Database(home.database) as devices:
        users = DeviceUsers(devices, services=load_or_create_service_passwords(home))
        journal = MqttJournal(store, ingest=Ingest(SystemClock()))
        broker = Broker(host=host, port=port, users=users, journal=journal, clock=SystemClock())
        await broker.serve(asyncio.Event(), ready=lambda address: print(address[1], flush=True))


if __name__ == "__main__":
    asyncio.run(main(Home(Path(sys.argv[1]))))
