"""The frost warning goes by a thermometer that nobody can pretend to be, where there is one."""

from __future__ import annotations

from pathlib import Path

from kit.clock import ManualClock
from kit.collect.ingest import Ingest
from kit.model.messages import Published
from kit.store.database import Database
from kit.store.devices import add_device
from kit.store.schema import MIGRATIONS
from village_apps.frost.station_history import choose_device

NOW_MS = 1_790_000_000_000


def test_a_stranger_with_the_longer_record_does_not_warn_the_village(tmp_path: Path) -> None:
    with Database(tmp_path / "kit.db", migrations=MIGRATIONS) as database:
        connection, ingest = database.connection, Ingest(ManualClock(at_s=NOW_MS / 1000))

        def measure(device: str, *hours_ago: int) -> None:
            published = [
                Published(
                    username=device,
                    client_id=device,
                    topic=f"sensors/{device}",
                    payload=b'[{"n":"temperature","u":"Cel","v":%d}]' % hour,
                    qos=0,
                    retain=False,
                    duplicate=False,
                    packet_id=None,
                    received_ms=NOW_MS - hour * 3_600_000,
                )
                for hour in hours_ago
            ]
            with database.atomic() as inside:
                ingest(inside, published)

        for name in ("open-one", "orchard"):
            add_device(connection, name, now_ms=0)
        connection.execute("UPDATE devices SET open = 1 WHERE name = 'open-one'")
        assert choose_device(connection, "") is None
        measure("open-one", 300, 200, 1)
        assert choose_device(connection, "") == "open-one", "better than none"
        measure("orchard", 3, 2, 1)
        assert choose_device(connection, "") == "orchard"
        assert choose_device(connection, "open-one") == "open-one", "a person may wish otherwise"
