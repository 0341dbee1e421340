"""The kit's own broker as the Eclipse suite needs it: `permissive_broker.py DIRECTORY`; prints its port.

The broker, its journal and its limits are the product's. Two things differ, and only they: one user may publish on
every topic (in the product not even a service may on those that begin with `$`) and read everything except one filter
(the suite wants to be refused it); and the longest keep-alive is the 60 seconds that the suite expects to be told (the
product's is an hour).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from kit.broker.access import Hearing
from kit.broker.protocol.limits import Limits
from kit.broker.server import Broker
from kit.clock import SystemClock
from kit.collect.ingest import Ingest
from kit.home import Home
from kit.model.grants import Grants
from kit.run.schema import open_unit_store
from kit.store.device_users import DeviceUsers
from kit.store.mqtt import MqttJournal

USER, PASSWORD = "kit-suite", "suite password"
REFUSED_FILTER = "test/nosubscribe"
LONGEST_KEEP_ALIVE_S = 60


class Everything:
    """Every topic is the user's own."""

    def hearing(self, username: str, topic: str, grants: Grants | None) -> Hearing:
        """All."""
        del username, topic, grants
        return Hearing.OWN

    def may_subscribe(self, username: str, topic_filter: str, grants: Grants | None) -> bool:
        """All but one."""
        del username, grants
        return topic_filter != REFUSED_FILTER


async def main(directory: Path) -> None:
    """Serve until killed."""
    home = Home(directory)
    home.prepare()
    clock = SystemClock()
    with open_unit_store(home) as store, open_unit_store(home) as devices:
        broker = Broker(
            host="127.0.0.1",
            port=0,
            users=DeviceUsers(devices, services={USER: PASSWORD}),
            journal=MqttJournal(store, ingest=Ingest(clock)),
            clock=clock,
            limits=Limits(keep_alive_s=LONGEST_KEEP_ALIVE_S),
            access=Everything(),
        )
        await broker.serve(asyncio.Event(), ready=lambda address: print(address[1], flush=True))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
